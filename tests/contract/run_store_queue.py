"""What every RunStore must do with its queue: accept and claim."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from queryrun.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    QueueFull,
)
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.model import (
    DEFAULT_MAX_RETRIES,
    AttemptProgress,
    AttemptRef,
    DeletedRows,
    Output,
    RunRequest,
    Stage,
)
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    ClaimLimits,
    Failed,
    OwnRunning,
    QueueLimits,
    RunStore,
    Usage,
)
from tests.contract.run_store_fixtures import (
    BAD_NAME,
    BY_USER,
    CLIENT,
    ENTITY,
    FILE,
    KILLED,
    LEASE_S,
    TENANT,
    RawDatabase,
    back,
    claimed,
    idempotent,
    limits,
    read,
    request,
    started,
    submitted,
)


class QueueContract:
    """From the request to the attempt."""

    pytestmark = pytest.mark.anyio

    # --- accept ----------------------------------------------------------------------------------

    async def test_an_accepted_run_reads_as_in_the_response(self, store: RunStore) -> None:
        run = await submitted(store)
        assert run.state is RunState.ACCEPTED
        assert (run.attempt, run.remaining_attempts) == (0, DEFAULT_MAX_RETRIES)
        assert run.created_time == run.updated_time == run.ready_time
        assert await store.get(run.id) == run

    async def test_a_request_is_stored_completely(self, store: RunStore) -> None:
        whole = RunRequest(
            tenant_id="täñant",
            entity_id=ENTITY,
            client_id=CLIENT,
            source="warehouse",
            sql="SELECT 'ü\U0001f600', ';--' FROM t\n",
            output=Output(ContentType.DSV, ContentEncoding.ZIP, "|", "a key"),
            deleted_rows=DeletedRows.ONLY,
            timeout_s=12.5,
            tags=(("team", 'a"b'), ("team", "c")),
            org_ids=("o1", "o2"),
            extras=(("useIndexJoin", "true"),),
        )
        run = await submitted(store, whole)
        assert (await read(store, run.id)).request == whole

    async def test_an_unknown_run_is_none(self, store: RunStore) -> None:
        assert await store.get(str(uuid4())) is None

    async def test_a_full_queue_refuses_and_writes_nothing(self, store: RunStore) -> None:
        for _ in range(2):
            await store.accept(request(), run_id=str(uuid4()), queue_limits=QueueLimits(2))
        refused = str(uuid4())
        with pytest.raises(QueueFull):
            await store.accept(request(), run_id=refused, queue_limits=QueueLimits(2))
        assert await store.get(refused) is None

    async def test_the_queue_limit_counts_one_entity_on_one_source(self, store: RunStore) -> None:
        """Nobody is refused for what another entity has waiting."""
        one = QueueLimits(per_entity=1)
        others = (
            request(),
            request(tenant="tenant-2"),
            request(source="warehouse"),
            request(entity="entity-2"),
        )
        for other in others:
            await store.accept(other, run_id=str(uuid4()), queue_limits=one)
        for other in others:
            with pytest.raises(QueueFull, match="your entity has 1 query runs"):
                await store.accept(other, run_id=str(uuid4()), queue_limits=one)

    async def test_a_client_has_a_queue_limit_of_its_own(self, store: RunStore) -> None:
        both = QueueLimits(per_entity=3, per_client=2)
        for client in ("a", "a", "b"):
            await store.accept(request(client=client), run_id=str(uuid4()), queue_limits=both)
        for client in ("a", "b"):
            with pytest.raises(QueueFull, match="your client has 2"):
                await store.accept(request(client=client), run_id=str(uuid4()), queue_limits=both)
        other = request(client="a", entity="entity-2")
        await store.accept(other, run_id=str(uuid4()), queue_limits=both)

    async def test_a_tenant_has_a_queue_limit_of_all_its_entities(self, store: RunStore) -> None:
        three = QueueLimits(per_entity=2, per_tenant=3)
        for entity in ("a", "b", "c"):
            one = request(entity=entity)
            await store.accept(one, run_id=str(uuid4()), queue_limits=three)
        with pytest.raises(QueueFull, match="your entity has 2 or your tenant has 3 query runs"):
            await store.accept(request(entity="d"), run_id=str(uuid4()), queue_limits=three)
        for other in (request(tenant="tenant-2"), request(source="warehouse")):
            await store.accept(other, run_id=str(uuid4()), queue_limits=three)

    async def test_a_running_run_does_not_fill_the_queue(self, store: RunStore) -> None:
        await started(store)
        await store.accept(request(), run_id=str(uuid4()), queue_limits=QueueLimits(1))

    # --- accept, idempotent ----------------------------------------------------------------------

    async def test_a_repeat_returns_the_first_run_and_its_response(self, store: RunStore) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        await store.cancel(first.run.id, BY_USER)
        second = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        assert first.replay is None
        assert second.replay == first.run.id.encode()
        assert second.run == await read(store, first.run.id)

    async def test_a_repeat_writes_nothing_even_when_the_queue_is_full(
        self, store: RunStore
    ) -> None:
        await store.accept(
            request(), run_id=str(uuid4()), queue_limits=QueueLimits(1), idempotent=idempotent()
        )
        unwanted = str(uuid4())
        await store.accept(
            request(), run_id=unwanted, queue_limits=QueueLimits(1), idempotent=idempotent()
        )
        assert await store.get(unwanted) is None

    async def test_another_request_under_the_key_is_a_mismatch(self, store: RunStore) -> None:
        await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        unwanted = str(uuid4())
        with pytest.raises(IdempotencyMismatch):
            await store.accept(
                request(), run_id=unwanted, idempotent=idempotent(fingerprint="fp-2")
            )
        assert await store.get(unwanted) is None

    async def test_tenants_have_their_own_keys(self, store: RunStore) -> None:
        own = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        theirs = await store.accept(
            request(tenant="tenant-2"),
            run_id=str(uuid4()),
            idempotent=idempotent(tenant="tenant-2", fingerprint="fp-2"),
        )
        assert theirs.replay is None
        assert theirs.run.id != own.run.id

    async def test_entities_have_their_own_keys(self, store: RunStore) -> None:
        own = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        theirs = await store.accept(
            request(entity="entity-2"),
            run_id=str(uuid4()),
            idempotent=idempotent(entity="entity-2", fingerprint="fp-2"),
        )
        assert theirs.replay is None
        assert theirs.run.id != own.run.id

    async def test_a_key_in_flight_rejects_the_repeat(
        self, store: RunStore, idempotency_store: IdempotencyStore
    ) -> None:
        await idempotency_store.reserve_key(idempotent().idempotency_key)
        with pytest.raises(IdempotencyInFlight):
            await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())

    async def test_a_refused_run_does_not_use_the_key_up(self, store: RunStore) -> None:
        await submitted(store)
        with pytest.raises(QueueFull):
            await store.accept(
                request(), run_id=str(uuid4()), queue_limits=QueueLimits(1), idempotent=idempotent()
            )
        accepted = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        assert accepted.replay is None

    async def test_one_of_two_concurrent_first_requests_makes_the_run(
        self, store: RunStore
    ) -> None:
        accepts = await asyncio.gather(
            *(
                store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
                for _ in range(8)
            )
        )
        assert len({accepted.run.id for accepted in accepts}) == 1
        assert sum(accepted.replay is None for accepted in accepts) == 1

    async def test_a_key_counts_as_unused_after_a_day(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        await raw.pass_time(24 * 3600)
        second = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        assert second.replay is None
        assert second.run.id != first.run.id

    # --- claim -----------------------------------------------------------------------------------

    async def test_a_claim_starts_an_attempt(self, store: RunStore, raw: RawDatabase) -> None:
        run = await submitted(store)
        await raw.pass_time(2)
        attempt = await claimed(store)
        assert attempt.ref == AttemptRef(run.id, 1)
        assert attempt.run.state is RunState.IN_PROGRESS
        assert attempt.run.started_time == raw.now()
        assert attempt.lease_until == raw.now() + timedelta(seconds=LEASE_S)
        assert attempt.run == await read(store, run.id)

    async def test_nothing_waiting_is_an_empty_list(self, store: RunStore) -> None:
        await started(store)
        assert await store.claim("node-b", lease_s=LEASE_S, limits=limits()) == []

    async def test_no_run_is_claimed_twice(self, store: RunStore) -> None:
        for _ in range(6):
            await submitted(store)
        shares = await asyncio.gather(
            *(store.claim(f"node-{n}", lease_s=LEASE_S, limits=limits(slots=2)) for n in range(4))
        )
        refs = [attempt.ref for share in shares for attempt in share]
        assert len(refs) == len(set(refs)) == 6

    async def test_a_claim_takes_no_more_than_the_free_slots(self, store: RunStore) -> None:
        for _ in range(3):
            await submitted(store)
        for slots, expected in ((0, 0), (2, 2), (5, 1)):
            taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits(slots=slots))
            assert len(taken) == expected

    async def test_a_claim_takes_only_from_the_sources_it_can_run(self, store: RunStore) -> None:
        await submitted(store, request(source="warehouse"))
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits("live")) == []
        assert await store.claim("node-a", lease_s=LEASE_S, limits=ClaimLimits((), 10, {})) == []
        assert (await claimed(store, "live", "warehouse")).run.request.source == "warehouse"

    async def test_a_back_off_is_waited_out(self, store: RunStore, raw: RawDatabase) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(5))
        await raw.pass_time(4.999)
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits()) == []
        await raw.pass_time(0.001)
        assert (await claimed(store)).ref == AttemptRef(attempt.ref.run_id, 2)

    async def test_a_back_off_does_not_hold_up_the_runs_behind_it(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(5))
        other = await submitted(store)
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == [other.id]

    async def test_the_oldest_run_of_an_entity_comes_first(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        expected = []
        for _ in range(4):
            expected.append((await submitted(store)).id)
            await raw.pass_time(0.5)
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == expected

    async def test_runs_of_the_same_instant_keep_their_order(self, store: RunStore) -> None:
        expected = [(await submitted(store)).id for _ in range(4)]
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == expected

    async def test_entities_take_turns_within_one_claim(self, store: RunStore) -> None:
        for entity in ("a", "a", "a", "b", "b", "c"):
            await submitted(store, request(entity=entity))
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.run.request.entity_id for attempt in taken] == list("abcaba")

    async def test_entities_take_turns_between_claims(self, store: RunStore) -> None:
        for entity in ("a", "a", "a"):
            await submitted(store, request(entity=entity))
        first = (await claimed(store)).run.request.entity_id
        await submitted(store, request(entity="b"))
        later = [(await claimed(store)).run.request.entity_id for _ in range(3)]
        assert [first, *later] == ["a", "b", "a", "a"]

    async def test_a_turn_on_one_source_counts_on_the_other(self, store: RunStore) -> None:
        await submitted(store, request(entity="a", source="live"))
        await submitted(store, request(entity="a", source="warehouse"))
        await submitted(store, request(entity="b", source="warehouse"))
        taken = await store.claim("n", lease_s=LEASE_S, limits=limits("live", "warehouse"))
        assert [attempt.run.request.entity_id for attempt in taken] == ["a", "b", "a"]

    async def test_a_tenant_runs_no_more_than_its_limit(self, store: RunStore) -> None:
        for tenant in (TENANT, TENANT, TENANT, "tenant-2"):
            await submitted(store, request(tenant=tenant))
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=2))
        assert sorted(attempt.run.request.tenant_id for attempt in taken) == [
            TENANT,
            TENANT,
            "tenant-2",
        ]
        assert await store.claim("node-b", lease_s=LEASE_S, limits=limits(running=2)) == []

    async def test_the_running_limit_spans_the_entities_of_a_tenant(self, store: RunStore) -> None:
        for entity in ("a", "b", "c"):
            await submitted(store, request(entity=entity))
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=2))
        assert len(taken) == 2
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=2)) == []

    async def test_an_entity_alone_may_use_the_whole_limit_and_the_next_its_share(
        self, store: RunStore
    ) -> None:
        for _ in range(8):
            await submitted(store, request(entity="a"))
        five = limits(running=5)
        assert len(await store.claim("n", lease_s=LEASE_S, limits=five)) == 5
        for _ in range(4):
            await submitted(store, request(entity="b"))
        taken = await store.claim("n", lease_s=LEASE_S, limits=five)
        assert [attempt.run.request.entity_id for attempt in taken] == ["b", "b"]
        await submitted(store, request(entity="c"))
        [attempt] = await store.claim("n", lease_s=LEASE_S, limits=five)
        assert attempt.run.request.entity_id == "c"
        assert await store.claim("n", lease_s=LEASE_S, limits=five) == []

    async def test_every_one_of_many_entities_is_served_in_its_turn(self, store: RunStore) -> None:
        """More than one claim considers, each with one run after the other."""
        entities = [f"entity-{n}" for n in range(90)]
        for entity in entities:
            await submitted(store, request(entity=entity))
        served = []
        for _ in range(2 * len(entities)):
            attempt = await claimed(store)
            await store.complete(attempt.ref, FILE)
            served.append(attempt.run.request.entity_id)
            await submitted(store, request(entity=served[-1]))
        assert set(served) == set(entities)
        assert max(map(served.count, entities)) <= 3

    @pytest.mark.parametrize("of_entity", [0, 2], ids=["no-limit-of-entities", "a-limit"])
    async def test_many_clients_without_room_hide_nobody(
        self, store: RunStore, of_entity: int
    ) -> None:
        """The limit of their tenant is reached and they have their share, or that of their entity
        is; a last one, behind them all, has room."""
        for entity in ("entity-1", "entity-1", "entity-2", "entity-2"):
            await submitted(store, request(entity=entity))
        four = ClaimLimits(("live",), 10, {"live": 4}, {"live": of_entity})
        assert len(await store.claim("n", lease_s=LEASE_S, limits=four)) == 4
        for n in range(80):
            await submitted(store, request(client=f"client-{n}"))
        for entity in ("entity-3", "entity-4"):
            await submitted(store, request(entity=entity))
        await submitted(store, request(tenant="tenant-2"))
        one = ClaimLimits(("live",), 3, {"live": 4}, {"live": of_entity})
        taken = await store.claim("n", lease_s=LEASE_S, limits=one)
        owners = {(one.run.request.tenant_id, one.run.request.entity_id) for one in taken}
        assert owners == {(TENANT, "entity-3"), (TENANT, "entity-4"), ("tenant-2", ENTITY)}
        assert await store.claim("n", lease_s=LEASE_S, limits=one) == []

    async def test_the_entity_with_fewest_running_comes_first(self, store: RunStore) -> None:
        for entity in ("a", "a", "a"):
            await submitted(store, request(entity=entity))
        await store.claim("n", lease_s=LEASE_S, limits=limits(slots=2))
        for entity in ("b", "b"):
            await submitted(store, request(entity=entity))
        taken = await store.claim("n", lease_s=LEASE_S, limits=limits())
        assert [attempt.run.request.entity_id for attempt in taken] == ["b", "b", "a"]

    async def test_a_fair_slot_is_for_the_first_run_of_an_entity(self, store: RunStore) -> None:
        for entity in ("a", "a", "a"):
            await submitted(store, request(entity=entity))
        full = ClaimLimits(("live",), 0, {}, fair_slots=2)
        one_free = ClaimLimits(("live",), 1, {}, fair_slots=2)
        assert len(await store.claim("n", lease_s=LEASE_S, limits=one_free)) == 1
        assert await store.claim("n", lease_s=LEASE_S, limits=full) == []
        for entity in ("b", "b", "c", "d"):
            await submitted(store, request(entity=entity))
        taken = await store.claim("n", lease_s=LEASE_S, limits=full)
        assert [attempt.run.request.entity_id for attempt in taken] == ["b", "c"]

    async def test_entities_and_clients_may_have_running_limits(self, store: RunStore) -> None:
        for entity, client in (*[("a", "x")] * 3, ("a", "y"), *[("b", "x")] * 3):
            await submitted(store, request(entity=entity, client=client))
        of_entity = ClaimLimits(("live",), 10, {}, {"live": 2}, {"live": 1})
        taken = await store.claim("n", lease_s=LEASE_S, limits=of_entity)
        who = [(run.request.entity_id, run.request.client_id) for run in (a.run for a in taken)]
        assert who == [("a", "x"), ("b", "x"), ("a", "y")]
        assert await store.claim("n", lease_s=LEASE_S, limits=of_entity) == []
        of_entity = ClaimLimits(("live",), 10, {}, {"live": 2}, {"live": 3})
        assert len(await store.claim("n", lease_s=LEASE_S, limits=of_entity)) == 1

    async def test_single_tenants_entities_and_clients_may_have_lower_running_limits(
        self, store: RunStore
    ) -> None:
        waiting = [
            *[("t1", "a", "x")] * 3, *[("t1", "b", "y")] * 3, *[("t2", "c", "z")] * 3,
            *[("t2", "d", "w")] * 2,
        ]  # fmt: skip
        for tenant, entity, client in waiting:
            await submitted(store, request(tenant=tenant, entity=entity, client=client))
        own = OwnRunning({"t1": 3, "t2": 9}, {"a": 1, "d": 5}, {"z": 2, "y": 9})
        limits = ClaimLimits(("live",), 20, {"live": 4}, {"live": 4}, {"live": 4}, own=own)
        taken = await store.claim("n", lease_s=LEASE_S, limits=limits)
        taken += await store.claim("n", lease_s=LEASE_S, limits=limits)
        found = Counter(attempt.run.request.entity_id for attempt in taken)
        assert found == {"a": 1, "b": 2, "c": 2, "d": 2}

    async def test_who_is_at_a_limit_of_its_own_takes_no_turn_from_others(
        self, store: RunStore
    ) -> None:
        for _ in range(3):
            await submitted(store, request(entity="a", client="x"))
        none = ClaimLimits(("live",), 1, {})
        assert len(await store.claim("n", lease_s=LEASE_S, limits=none)) == 1
        for own in (OwnRunning(entities={"a": 1}), OwnRunning(clients={"x": 1})):
            other = await submitted(store, request(entity="b", client="y"))
            limits = ClaimLimits(("live",), 5, {}, own=own)
            taken = await store.claim("n", lease_s=LEASE_S, limits=limits)
            assert [one.ref.run_id for one in taken] == [other.id]
        assert len(await store.claim("n", lease_s=LEASE_S, limits=none)) == 1

    async def test_sources_have_their_own_running_limits(self, store: RunStore) -> None:
        for source in ("live", "live", "warehouse", "warehouse", "warehouse"):
            await submitted(store, request(source=source))
        two_of = ClaimLimits(("live", "warehouse"), 10, {"live": 1, "warehouse": 2})
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=two_of)
        sources = sorted(attempt.run.request.source for attempt in taken)
        assert sources == ["live", "warehouse", "warehouse"]

    async def test_a_canceling_run_holds_its_slot_until_it_is_freed(self, store: RunStore) -> None:
        attempt = await started(store)
        waiting = await submitted(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=1)) == []
        await store.freed(attempt.ref, KILLED)
        [following] = await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=1))
        assert following.ref.run_id == waiting.id

    async def test_the_next_run_is_ready_after_the_shortest_pause(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        assert await store.next_ready_s(["live"]) is None
        pauses = (9.0, 4.0, 6.0)
        for entity in ("a", "a", "b"):
            await submitted(store, request(entity=entity))
        attempts = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        for attempt, pause_s in zip(attempts, pauses, strict=True):
            await store.requeue(attempt.ref, back(pause_s))
        await submitted(store, request(entity="a"))
        assert await store.next_ready_s(["live"]) == 4
        assert await store.next_ready_s(["warehouse"]) is None
        assert await store.next_ready_s([]) is None
        await raw.pass_time(4)
        assert await store.next_ready_s(["live", "warehouse"]) == 2

    # --- usage -----------------------------------------------------------------------------------

    async def test_what_a_client_keeps_and_writes_is_counted_until_it_is_removed(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        size = FILE.file.size_bytes
        first = await started(store)
        await store.complete(first.ref, FILE)
        await submitted(store, request(client="client-2"))
        statement = len(request().sql)
        entity, client = await store.usage(TENANT, ENTITY, CLIENT)
        assert entity == Usage(2 * statement, size, size)
        assert client == Usage(statement, size, size)
        assert await store.usage(TENANT, "entity-2", CLIENT) == (Usage(), Usage())
        assert (await store.stored_bytes(TENANT), await store.stored_bytes("other")) == (size, 0)
        await raw.pass_time(24 * 3600)
        assert (await store.usage(TENANT, ENTITY, CLIENT))[1] == Usage(statement, size, 0)
        await store.remove_expired(retention_s=0, limit=10)
        assert (await store.usage(TENANT, ENTITY, CLIENT))[1] == Usage(0, 0, 0)
        assert await store.stored_bytes(TENANT) == 0

    async def test_what_a_failed_attempt_had_written_counts_as_written(
        self, store: RunStore
    ) -> None:
        attempt = await started(store)
        progress = {attempt.ref: AttemptProgress(Stage.WRITING, 10.0, 5, 1000)}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=progress)
        await store.fail(attempt.ref, Failed(BAD_NAME))
        _, client = await store.usage(TENANT, ENTITY, CLIENT)
        assert (client.result_bytes, client.written_bytes) == (0, 1000)
