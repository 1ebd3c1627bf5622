"""What holds on PostgreSQL when several nodes act at once, beyond the contract of one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from queryrun.db.postgres.auth import TOKEN_CACHE_S, PostgresAuthStore
from queryrun.db.postgres.connect import Connection, connect, conninfo_of
from queryrun.db.postgres.connections import create_functions
from queryrun.db.postgres.database import PostgresDatabase, open_postgres
from queryrun.db.postgres.statements import statements
from queryrun.errors import Failure, FailureCode, IdempotencyInFlight, InvalidRequest, QueueFull
from queryrun.results.formats import ContentType
from queryrun.runs.limits import Level, LimitValue
from queryrun.runs.model import Attempt, IdempotencyKey, Output, RunRequest
from queryrun.runs.state import RunState
from queryrun.runs.store import ALL_HEADS, Accepted, Failed, QueueLimits, RunQuery, RunStore
from queryrun.webhooks.store import MAX_PER_CLIENT
from tests.contract.auth_store import HOUR, NOW, client, with_client
from tests.contract.postgres_database import OnPostgres, Opened
from tests.contract.run_store_fixtures import (
    BY_USER,
    CLIENT,
    ENTITY,
    FILE,
    LEASE_S,
    TENANT,
    idempotent,
    limits,
    read,
    request,
    started,
    submitted,
)
from tests.contract.statement_store import saved
from tests.contract.webhook_store import a_webhook
from tests.postgres_server import SMALL, TEST_NOW

pytestmark = pytest.mark.anyio

NODES = 3
SQL = statements(TEST_NOW)


@pytest.mark.usefixtures("postgres_server")
class TestSeveralNodes(OnPostgres):
    """Each has its own connections."""

    @pytest.fixture
    def nodes(self, opened: Opened) -> Iterator[list[PostgresDatabase]]:
        """One node's view of the database after the other."""
        _, _, url = opened
        with ExitStack() as stack:
            databases = [open_postgres(url, SMALL) for _ in range(NODES)]
            for database in databases:
                stack.callback(database.close)
            yield databases

    async def test_submits_of_a_minute_are_counted_over_all_nodes(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        limit = LimitValue(Level.CLIENT, CLIENT, "submits_per_minute", 10)
        found = await asyncio.gather(
            *(node.limits.count_submit([limit], is_counted=True) for node in nodes * 6)
        )
        assert sorted(one.used for [one] in found) == [*range(10), *[10] * (6 * NODES - 10)]

    async def test_a_client_that_adds_on_all_nodes_at_once_has_as_many_as_it_may(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        webhooks = await asyncio.gather(
            *(node.webhooks.add_webhook(a_webhook()) for node in nodes * MAX_PER_CLIENT)
        )
        assert webhooks.count(True) == MAX_PER_CLIENT
        kept = [saved(str(number)) for number in range(10 * NODES)]
        await with_client(nodes[0].auth, replace(client(), id=kept[0].client_id))
        statements_of_one = await asyncio.gather(
            *(node.statements.add_statement(kept.pop(), 5) for node in nodes * 10)
        )
        assert statements_of_one.count(True) == 5

    async def test_no_attempt_is_claimed_twice_and_none_is_left(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        ids = {(await submitted(nodes[0].runs, request(entity=f"e{n % 5}"))).id for n in range(60)}
        shares = await asyncio.gather(*(_claim_all(node.runs, f"n{n}") for n, node in enum(nodes)))
        taken = [attempt.ref.run_id for share in shares for attempt in share]
        assert len(taken) == len(set(taken)) == 60
        assert set(taken) == ids

    async def test_nodes_together_stay_within_a_tenants_limit(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        """Each of them would find room for five, had it not to wait for the others' claims."""
        for n in range(30):
            await submitted(nodes[0].runs, request(tenant=f"t{n % 2}", entity=f"e{n}"))
        claim_limits = limits(slots=10, running=5)
        shares = await asyncio.gather(
            *(
                node.runs.claim(f"n{n}", lease_s=LEASE_S, limits=claim_limits)
                for n, node in enum(nodes)
                for _ in range(3)
            )
        )
        running = Counter(attempt.run.request.tenant_id for share in shares for attempt in share)
        assert running == {"t0": 5, "t1": 5}

    async def test_a_claim_waits_for_one_that_has_not_been_committed(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        """Otherwise it would count none of that one's runs, and take five of newcomers instead."""
        store, claim_limits = nodes[1].runs, limits(slots=10, running=5)
        for n in range(5):
            await submitted(store, request(entity=f"e{n}"))
        for attempt in await store.claim("n1", lease_s=LEASE_S, limits=claim_limits):
            await store.complete(attempt.ref, FILE)
            await submitted(store, attempt.run.request)
        with _session(opened) as connection:
            with connection.transaction():
                values = {
                    "node": "n0",
                    "lease_ms": 30_000,
                    "sources": ["live"],
                    "tenant_limits": [5],
                    "entity_limits": [10],
                    "client_limits": [10],
                    "own_levels": [],
                    "own_subjects": [],
                    "own_limits": [],
                    "after_tenants": [""],
                    "after_entities": [""],
                    "after_clients": [""],
                    "max_heads": ALL_HEADS,
                    "slots": 10,
                    "fair_slots": 0,
                }
                assert len(connection.execute(SQL["claim"], values).fetchall()) == 5
                for n in range(5):
                    await submitted(store, request(entity=f"newcomer-{n}"))
                claim = asyncio.create_task(store.claim("n1", lease_s=LEASE_S, limits=claim_limits))
                await _done_or_waiting(claim, opened)
            assert await claim == []

    async def test_an_accept_waits_for_one_that_has_not_been_committed(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        room = "SELECT pg_temp.queue_has_room('live', %s, %s, %s, 1, 0, 0)"
        with _session(opened) as connection:
            with connection.transaction():
                assert connection.execute(room, (TENANT, ENTITY, CLIENT)).fetchone() == (True,)
                accept = asyncio.create_task(_accept(nodes[1].runs, queue_limits=QueueLimits(1)))
                await _done_or_waiting(accept, opened)
                assert not accept.done()
            await accept
            assert connection.execute(room, (TENANT, ENTITY, CLIENT)).fetchone() == (False,)

    async def test_nodes_together_stay_within_the_queue_limit(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        outcomes = await asyncio.gather(
            *(_accept(node.runs, queue_limits=QueueLimits(7)) for node in nodes for _ in range(8)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 7
        assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 17

    async def test_a_key_makes_one_run_whichever_nodes_get_the_requests(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        accepts = await asyncio.gather(
            *(
                node.runs.accept(
                    request(),
                    run_id=str(uuid4()),
                    queue_limits=QueueLimits(1),
                    idempotent=idempotent(),
                )
                for node in nodes
                for _ in range(4)
            )
        )
        assert len({accepted.run.id for accepted in accepts}) == 1
        assert sum(accepted.replay is None for accepted in accepts) == 1
        page = await nodes[0].runs.find(RunQuery(TENANT))
        assert len(page.runs) == 1

    async def test_a_key_that_is_used_up_replays_on_a_full_queue(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        first = await _accept(nodes[0].runs, queue_limits=QueueLimits(1), key="k")
        again = await _accept(nodes[1].runs, queue_limits=QueueLimits(1), key="k")
        assert again.replay == first.run.id.encode()
        with pytest.raises(QueueFull):
            await _accept(nodes[1].runs, queue_limits=QueueLimits(1), key="other")

    async def test_one_of_two_cancels_under_a_key_is_executed(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        attempts = [await started(nodes[0].runs) for _ in nodes]
        outcomes = await asyncio.gather(
            *(
                node.runs.cancel(attempt.ref.run_id, BY_USER, idempotent=idempotent())
                for node, attempt in zip(nodes, attempts, strict=True)
            ),
            return_exceptions=True,
        )
        ids = [attempt.ref.run_id for attempt in attempts]
        states = Counter([(await read(nodes[0].runs, run_id)).state for run_id in ids])
        assert sum(isinstance(outcome, IdempotencyInFlight) for outcome in outcomes) == NODES - 1
        assert states == {RunState.CANCELING: 1, RunState.IN_PROGRESS: NODES - 1}

    async def test_one_node_takes_over_an_expired_attempt(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        attempts = [await started(nodes[0].runs, node="gone") for _ in range(8)]
        opened[1].move(LEASE_S)
        won = await asyncio.gather(
            *(
                node.runs.take_over(attempt.ref, f"n{n}", lease_s=LEASE_S)
                for attempt in attempts
                for n, node in enum(nodes)
            )
        )
        assert sum(won) == len(attempts)

    async def test_nodes_that_clean_up_concurrently_report_each_run_once(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        for _ in range(9):
            await nodes[0].runs.cancel((await submitted(nodes[0].runs)).id, BY_USER)
        clock = opened[1]
        clock.move(10)
        removed = await asyncio.gather(
            *(node.runs.remove_expired(retention_s=0, limit=9) for node in nodes)
        )
        assert sum(removed) == 9

    async def test_many_concurrent_transitions_finish_every_run_once(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        """Completes, cancels and extensions of the same attempts, from every node: no deadlock."""
        attempts = [await started(nodes[0].runs) for _ in range(12)]
        refs = [attempt.ref for attempt in attempts]
        await asyncio.gather(
            *(node.runs.complete(ref, FILE) for node in nodes for ref in refs),
            *(node.runs.cancel(ref.run_id, BY_USER) for node in nodes for ref in refs),
            *(
                node.runs.extend("node-a", refs[::step], lease_s=9)
                for node in nodes
                for step in (1, -1)
            ),
            return_exceptions=True,
        )
        for ref in refs:
            history = await nodes[0].runs.events(ref.run_id)
            assert [move.state for move in history[:2]] == [RunState.ACCEPTED, RunState.IN_PROGRESS]
            assert len(history) == 3

    async def test_turns_alternate_across_nodes(self, nodes: list[PostgresDatabase]) -> None:
        for entity in ("a", "a", "a", "a", "b", "b"):
            await submitted(nodes[0].runs, request(entity=entity))
        order = []
        for n in range(6):
            [attempt] = await nodes[n % NODES].runs.claim(
                f"n{n}", lease_s=LEASE_S, limits=limits(slots=1)
            )
            order.append(attempt.run.request.entity_id)
        assert order == ["a", "b", "a", "b", "a", "a"]

    # --- tokens ------------------------------------------------------------------------------

    async def test_a_revocation_reaches_other_nodes_within_a_second(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        here, time_s = nodes[0].auth, [0.0]
        there = PostgresAuthStore(nodes[1].connections, lambda: time_s[0])
        known = await with_client(here)
        await here.add_token("token", known.id, NOW + HOUR)
        assert await there.client_of_token("token", NOW) == known
        await here.revoke_client(known.id, NOW)
        assert await here.client_of_token("token", NOW) is None
        assert await there.client_of_token("token", NOW) == known, "still cached"
        time_s[0] += TOKEN_CACHE_S
        assert await there.client_of_token("token", NOW) is None

    async def test_a_read_that_began_before_a_revocation_is_not_cached(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        auth = nodes[0].auth
        known = await with_client(auth)
        await auth.add_token("token", known.id, NOW + HOUR)
        await asyncio.gather(
            *(auth.client_of_token("token", NOW) for _ in range(5)),
            auth.revoke_client(known.id, NOW),
            *(auth.client_of_token("token", NOW) for _ in range(5)),
        )
        assert await auth.client_of_token("token", NOW) is None

    # --- text that PostgreSQL cannot keep ----------------------------------------------------

    async def test_a_statement_with_a_nul_is_refused(self, nodes: list[PostgresDatabase]) -> None:
        output = Output(ContentType.CSV)
        odd = RunRequest("t", "e", "c", "live", "SELECT '\x00'", output)
        tagged = RunRequest("t", "e", "c", "live", "SELECT 1", output, tags=(("a", "\x00"),))
        for refused in (odd, tagged):
            with pytest.raises(InvalidRequest):
                await nodes[0].runs.accept(refused, run_id=str(uuid4()))

    async def test_odd_characters_in_other_arguments_neither_fail_nor_match(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        node = nodes[0]
        for odd in ("\x00", "\ud800", "a\x00b"):
            assert await node.runs.get(odd) is None
            assert await node.requests.get_request(odd) is None
            assert await node.auth.client_of_token(odd, NOW) is None
            assert await node.idempotency.find_key(IdempotencyKey(odd, odd, odd, odd)) is None
            assert (await node.runs.find(RunQuery(odd, tags=((odd, odd),)))).runs == ()

    async def test_a_failure_message_with_a_nul_still_ends_the_run(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        """An engine quotes its input; the attempt must be able to finish anyway."""
        attempt = await started(nodes[0].runs)
        failure = Failure(FailureCode.INVALID_VALUE, "not a number: \x001")
        run = await nodes[0].runs.fail(attempt.ref, Failed(failure))
        assert run.state is RunState.FAILED
        assert run.failure is not None
        assert run.failure.message == "not a number: \ufffd1"


def enum(nodes: list[PostgresDatabase]) -> list[tuple[int, PostgresDatabase]]:
    return list(enumerate(nodes))


@contextmanager
def _session(opened: Opened) -> Iterator[Connection]:
    """A connection as a further node has it."""
    with closing(connect(conninfo_of(opened[2]), durable=False)) as connection:
        create_functions(connection, SQL)
        yield connection


async def _done_or_waiting(task: asyncio.Task[Any], opened: Opened) -> None:
    """Until the task is done, or waits for one of our advisory locks."""
    statement = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not task.done():
        [(waiting,)] = await opened[0].connections.read(lambda db: db.execute(statement).fetchall())
        if waiting:
            return


async def _claim_all(store: RunStore, node: str) -> list[Attempt]:
    """Claim three at a time until there is nothing left."""
    taken: list[Attempt] = []
    while share := await store.claim(node, lease_s=LEASE_S, limits=limits(slots=3)):
        taken += share
    return taken


async def _accept(
    store: RunStore, *, queue_limits: QueueLimits, key: str | None = None
) -> Accepted:
    return await store.accept(
        request(),
        run_id=str(uuid4()),
        queue_limits=queue_limits,
        idempotent=None if key is None else idempotent(key),
    )
