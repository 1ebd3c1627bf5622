"""What every RunStore must do: the sentences of its protocol, each as a test.

An implementation inherits `RunStoreContract` and provides the fixtures `store`, `once_store` and
`back_door`. The back door bypasses the interface: it moves the store's time and looks at rows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

import pytest

from queryrun.errors import (
    Failure,
    FailureCode,
    IdempotencyInFlight,
    IdempotencyMismatch,
    LostRace,
    NotCancellable,
    NotFound,
    QueueFull,
)
from queryrun.runs.model import (
    FRESH_ATTEMPTS,
    Attempt,
    AttemptRef,
    Cancellation,
    ContentEncoding,
    ContentType,
    DeletedRows,
    EngineStop,
    Once,
    Output,
    ResultFile,
    Run,
    RunRequest,
    Stage,
    StopReason,
    StoredAnswer,
)
from queryrun.runs.once import IN_FLIGHT_S, IdempotencyStore
from queryrun.runs.state import RunEvent, RunState
from queryrun.runs.store import (
    CancelAsked,
    ClaimLimits,
    Completed,
    Failed,
    Freed,
    Held,
    Requeued,
    RunQuery,
    RunStore,
)

TENANT = "tenant-1"
ENTITY = "entity-1"
CLIENT = "client-1"
LEASE_S = 30.0
BY_USER = CancelAsked(StopReason.USER, CLIENT)
KILLED = Freed(EngineStop.KILLED, Stage.EXECUTING)
WORKER_LOST = Failure(FailureCode.WORKER_LOST, "the worker died")
BAD_NAME = Failure(FailureCode.NAME_NOT_FOUND, "no such column", line=2, column=7)
FILE = Completed(ResultFile("key.csv", 12, "ab" * 32, 3), processing_ms=41)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """A row of `attempts` as it lies in the database."""

    number: int
    node: str
    handle: str | None
    file_key: str | None
    ended: bool
    outcome: str | None
    failure_code: str | None
    stop_reason: str | None
    stop_engine: str | None


class BackDoor(Protocol):
    """Ways around the interface."""

    def now(self) -> datetime:
        """The store's time."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let the store's time pass."""
        ...

    async def attempts(self, run_id: str) -> list[AttemptRecord]:
        """The run's attempts, in order."""
        ...

    async def rows_about(self, run_id: str) -> int:
        """How many rows, in any table, belong to the run."""
        ...


def request(
    *,
    tenant: str = TENANT,
    entity: str = ENTITY,
    client: str = CLIENT,
    source: str = "live",
    tags: tuple[tuple[str, str], ...] = (),
) -> RunRequest:
    """A plain request."""
    return RunRequest(
        tenant, entity, client, source, "SELECT 1", Output(ContentType.CSV), tags=tags
    )


def limits(*sources: str, slots: int = 10, running: int = 0) -> ClaimLimits:
    """Limits of a claim; the same running limit on every source."""
    named = sources or ("live",)
    return ClaimLimits(named, slots, dict.fromkeys(named, running))


async def submitted(store: RunStore, of: RunRequest | None = None) -> Run:
    """A run that waits."""
    accepted = await store.accept(of or request(), run_id=str(uuid4()), queue_limit=0)
    return accepted.run


async def claimed(store: RunStore, *sources: str, node: str = "node-a") -> Attempt:
    """An attempt on the one run that is next."""
    [attempt] = await store.claim(node, lease_s=LEASE_S, limits=limits(*sources, slots=1))
    return attempt


async def started(store: RunStore, *, node: str = "node-a") -> Attempt:
    """An attempt on a new run, when nothing else waits."""
    await submitted(store)
    return await claimed(store, node=node)


async def read(store: RunStore, run_id: str) -> Run:
    """The run as last written."""
    run = await store.get(run_id)
    assert run is not None
    return run


def back(ready: datetime, *, charge: bool = True) -> Requeued:
    """A requeue, ready at a time."""
    return Requeued(WORKER_LOST, ready, charge=charge)


def once(key: str = "key-1", *, tenant: str = TENANT, fingerprint: str = "fp-1") -> Once:
    """An idempotency key whose answer is the run's id."""
    return Once(tenant, key, fingerprint, lambda run: StoredAnswer(201, run.id.encode()))


class RunStoreContract:
    """Inherit this, provide `store`, `once_store` and `back_door`."""

    pytestmark = pytest.mark.anyio

    # --- accept -----------------------------------------------------------------------------

    async def test_an_accepted_run_reads_as_it_was_answered(self, store: RunStore) -> None:
        run = await submitted(store)
        assert run.state is RunState.ACCEPTED
        assert (run.attempt, run.remaining_attempts) == (0, FRESH_ATTEMPTS)
        assert run.created_time == run.updated_time == run.ready_time
        assert await store.get(run.id) == run

    async def test_a_request_is_kept_whole(self, store: RunStore) -> None:
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
            await store.accept(request(), run_id=str(uuid4()), queue_limit=2)
        refused = str(uuid4())
        with pytest.raises(QueueFull):
            await store.accept(request(), run_id=refused, queue_limit=2)
        assert await store.get(refused) is None

    async def test_the_queue_limit_counts_one_tenant_on_one_source(self, store: RunStore) -> None:
        await store.accept(request(), run_id=str(uuid4()), queue_limit=1)
        for other in (request(tenant="tenant-2"), request(source="warehouse")):
            await store.accept(other, run_id=str(uuid4()), queue_limit=1)
        with pytest.raises(QueueFull):
            await store.accept(request(entity="entity-2"), run_id=str(uuid4()), queue_limit=1)

    async def test_a_running_run_does_not_fill_the_queue(self, store: RunStore) -> None:
        await started(store)
        await store.accept(request(), run_id=str(uuid4()), queue_limit=1)

    # --- accept, once -----------------------------------------------------------------------

    async def test_a_repeat_returns_the_first_run_and_its_answer(self, store: RunStore) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        await store.cancel(first.run.id, BY_USER)
        second = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        assert first.replay is None
        assert second.replay == StoredAnswer(201, first.run.id.encode())
        assert second.run == await read(store, first.run.id)

    async def test_a_repeat_writes_nothing_even_when_the_queue_is_full(
        self, store: RunStore
    ) -> None:
        await store.accept(request(), run_id=str(uuid4()), queue_limit=1, once=once())
        unwanted = str(uuid4())
        await store.accept(request(), run_id=unwanted, queue_limit=1, once=once())
        assert await store.get(unwanted) is None

    async def test_another_request_under_the_key_is_a_mismatch(self, store: RunStore) -> None:
        await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        unwanted = str(uuid4())
        with pytest.raises(IdempotencyMismatch):
            await store.accept(
                request(), run_id=unwanted, queue_limit=0, once=once(fingerprint="fp-2")
            )
        assert await store.get(unwanted) is None

    async def test_tenants_have_their_own_keys(self, store: RunStore) -> None:
        mine = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        theirs = await store.accept(
            request(tenant="tenant-2"),
            run_id=str(uuid4()),
            queue_limit=0,
            once=once(tenant="tenant-2", fingerprint="fp-2"),
        )
        assert theirs.replay is None
        assert theirs.run.id != mine.run.id

    async def test_a_key_in_flight_turns_the_repeat_away(
        self, store: RunStore, once_store: IdempotencyStore
    ) -> None:
        await once_store.begin_once(TENANT, "key-1", "fp-1")
        with pytest.raises(IdempotencyInFlight):
            await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())

    async def test_a_refused_run_does_not_use_the_key_up(self, store: RunStore) -> None:
        await submitted(store)
        with pytest.raises(QueueFull):
            await store.accept(request(), run_id=str(uuid4()), queue_limit=1, once=once())
        accepted = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        assert accepted.replay is None

    async def test_of_two_first_requests_at_once_one_makes_the_run(self, store: RunStore) -> None:
        answers = await asyncio.gather(
            *(
                store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
                for _ in range(8)
            )
        )
        assert len({answer.run.id for answer in answers}) == 1
        assert sum(answer.replay is None for answer in answers) == 1

    async def test_a_key_counts_as_unused_after_a_day(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        await back_door.pass_time(24 * 3600)
        second = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        assert second.replay is None
        assert second.run.id != first.run.id

    # --- claim ------------------------------------------------------------------------------

    async def test_a_claim_starts_an_attempt(self, store: RunStore, back_door: BackDoor) -> None:
        run = await submitted(store)
        await back_door.pass_time(2)
        attempt = await claimed(store)
        assert attempt.ref == AttemptRef(run.id, 1)
        assert attempt.run.state is RunState.IN_PROGRESS
        assert attempt.run.started_time == back_door.now()
        assert attempt.lease_until == back_door.now() + timedelta(seconds=LEASE_S)
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

    async def test_a_back_off_is_waited_out(self, store: RunStore, back_door: BackDoor) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(back_door.now() + timedelta(seconds=5)))
        await back_door.pass_time(4.999)
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits()) == []
        await back_door.pass_time(0.001)
        assert (await claimed(store)).ref == AttemptRef(attempt.ref.run_id, 2)

    async def test_a_back_off_does_not_hold_up_the_runs_behind_it(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(back_door.now() + timedelta(seconds=5)))
        other = await submitted(store)
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == [other.id]

    async def test_the_oldest_run_of_an_entity_comes_first(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        expected = []
        for _ in range(4):
            expected.append((await submitted(store)).id)
            await back_door.pass_time(0.5)
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

    async def test_a_turn_taken_on_one_source_counts_on_the_other(self, store: RunStore) -> None:
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

    async def test_the_next_ready_time_is_the_earliest_back_off(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        assert await store.next_ready_time(["live"]) is None
        times = [back_door.now() + timedelta(seconds=s) for s in (9, 4, 6)]
        for entity in ("a", "a", "b"):
            await submitted(store, request(entity=entity))
        attempts = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        for attempt, time in zip(attempts, times, strict=True):
            await store.requeue(attempt.ref, back(time))
        await submitted(store, request(entity="a"))
        assert await store.next_ready_time(["live"]) == times[1]
        assert await store.next_ready_time(["warehouse"]) is None
        assert await store.next_ready_time([]) is None
        await back_door.pass_time(4)
        assert await store.next_ready_time(["live", "warehouse"]) == times[2]

    # --- handles and leases -----------------------------------------------------------------

    async def test_a_saved_handle_is_found_by_the_reaper(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.save_handle(attempt.ref, handle="pid 7", file_key="run_1.csv")
        await back_door.pass_time(LEASE_S)
        [lapsed] = await store.lapsed()
        assert (lapsed.handle, lapsed.file_key) == ("pid 7", "run_1.csv")
        assert (lapsed.ref, lapsed.node, lapsed.run) == (attempt.ref, "node-a", attempt.run)

    async def test_no_handle_is_saved_once_a_cancel_came(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        with pytest.raises(LostRace):
            await store.save_handle(attempt.ref, handle="pid 7", file_key="k")
        [record] = await back_door.attempts(attempt.ref.run_id)
        assert record.handle is None

    async def test_no_handle_is_saved_for_an_older_attempt(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        old = await started(store)
        await store.requeue(old.ref, back(back_door.now()))
        new = await claimed(store)
        with pytest.raises(LostRace):
            await store.save_handle(old.ref, handle="pid 7", file_key="k")
        await store.save_handle(new.ref, handle="pid 8", file_key="k")
        first, second = await back_door.attempts(old.ref.run_id)
        assert (first.handle, second.handle) == (None, "pid 8")

    async def test_no_handle_is_saved_for_an_unknown_run(self, store: RunStore) -> None:
        with pytest.raises(LostRace):
            await store.save_handle(AttemptRef(str(uuid4()), 1), handle="h", file_key="k")

    async def test_an_extension_renews_the_leases_of_its_node_alone(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        mine = await started(store, node="node-a")
        theirs = await started(store, node="node-b")
        await back_door.pass_time(LEASE_S - 1)
        held = await store.extend("node-a", lease_s=LEASE_S)
        assert held == [Held(mine.ref, RunState.IN_PROGRESS)]
        await back_door.pass_time(1)
        assert [attempt.ref for attempt in await store.lapsed()] == [theirs.ref]

    async def test_an_extension_says_which_runs_must_be_stopped(self, store: RunStore) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        held = await store.extend("node-a", lease_s=LEASE_S)
        assert held == [Held(attempt.ref, RunState.CANCELING)]

    async def test_an_attempt_that_ended_is_missing_from_the_extension(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        done, failed, queued, stopped = [await started(store) for _ in range(4)]
        await store.complete(done.ref, FILE)
        await store.fail(failed.ref, Failed(BAD_NAME))
        await store.requeue(queued.ref, back(back_door.now()))
        await store.cancel(stopped.ref.run_id, BY_USER)
        await store.freed(stopped.ref, KILLED)
        assert await store.extend("node-a", lease_s=LEASE_S) == []

    async def test_lapsed_attempts_come_oldest_first_and_limited(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        expected = []
        for _ in range(3):
            expected.append((await started(store)).ref)
            await back_door.pass_time(1)
        assert await store.lapsed() == []
        await back_door.pass_time(LEASE_S)
        assert [attempt.ref for attempt in await store.lapsed()] == expected
        assert [attempt.ref for attempt in await store.lapsed(limit=2)] == expected[:2]

    async def test_a_canceling_attempt_lapses_too(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        await back_door.pass_time(LEASE_S)
        [lapsed] = await store.lapsed()
        assert lapsed.run.state is RunState.CANCELING

    async def test_on_a_store_of_its_own_a_node_finds_what_others_left(
        self, store: RunStore
    ) -> None:
        mine = await started(store, node="node-a")
        left = await started(store, node="node-b")
        assert [attempt.ref for attempt in await store.lapsed(besides="node-a")] == [left.ref]
        assert await store.take_over(left.ref, "node-a", lease_s=LEASE_S)
        assert not await store.take_over(mine.ref, "node-c", lease_s=LEASE_S)
        held = await store.extend("node-a", lease_s=LEASE_S)
        assert {item.ref for item in held} == {mine.ref, left.ref}

    async def test_one_reaper_takes_a_lapsed_attempt_over(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        await back_door.pass_time(LEASE_S)
        won = await asyncio.gather(
            *(store.take_over(attempt.ref, f"node-{n}", lease_s=LEASE_S) for n in "bcd")
        )
        assert sorted(won) == [False, False, True]
        assert await store.extend("node-a", lease_s=LEASE_S) == []
        assert await store.lapsed() == []

    async def test_a_lease_extended_in_time_is_not_taken_over(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await back_door.pass_time(LEASE_S)
        [lapsed] = await store.lapsed()
        await store.extend("node-a", lease_s=LEASE_S)
        assert not await store.take_over(lapsed.ref, "node-b", lease_s=LEASE_S)
        assert (await store.extend("node-a", lease_s=LEASE_S))[0].ref == attempt.ref

    async def test_an_attempt_that_ended_is_not_taken_over(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(back_door.now()))
        await back_door.pass_time(LEASE_S)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        await claimed(store, node="node-c")
        await back_door.pass_time(LEASE_S)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)

    # --- ends -------------------------------------------------------------------------------

    async def test_a_complete_run_has_its_file(self, store: RunStore, back_door: BackDoor) -> None:
        attempt = await started(store)
        run = await store.complete(attempt.ref, FILE)
        assert run.state is RunState.COMPLETE
        assert (run.file, run.processing_ms) == (FILE.file, FILE.processing_ms)
        assert run == await read(store, run.id)
        [record] = await back_door.attempts(run.id)
        assert (record.ended, record.outcome) == (True, "complete")

    async def test_a_failed_run_says_why_and_where(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        run = await store.fail(attempt.ref, Failed(BAD_NAME))
        assert (run.state, run.failure, run.cancellation) == (RunState.FAILED, BAD_NAME, None)
        assert run == await read(store, run.id)
        [record] = await back_door.attempts(run.id)
        assert (record.outcome, record.failure_code) == ("failed", "name_not_found")

    async def test_a_run_stopped_for_a_limit_fails_with_the_record_of_the_stop(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        too_long = Failure(FailureCode.TIME_LIMIT_EXCEEDED, "more than 1 h")
        stop = Cancellation(
            back_door.now(), StopReason.TIMEOUT, None, Stage.EXECUTING, EngineStop.KILLED
        )
        run = await store.fail(attempt.ref, Failed(too_long, stop))
        assert (run.state, run.failure, run.cancellation) == (RunState.FAILED, too_long, stop)
        [record] = await back_door.attempts(run.id)
        assert (record.stop_reason, record.stop_engine) == ("timeout", "killed")

    async def test_a_requeue_costs_an_attempt_and_waits(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        ready = back_door.now() + timedelta(seconds=3)
        stop = Cancellation(
            back_door.now(), StopReason.LEASE, None, Stage.EXECUTING, EngineStop.KILLED
        )
        run = await store.requeue(attempt.ref, replace(back(ready), stop=stop))
        assert (run.state, run.ready_time) == (RunState.ACCEPTED, ready)
        assert (run.attempt, run.remaining_attempts) == (1, FRESH_ATTEMPTS - 1)
        assert (run.failure, run.cancellation, run.file) == (None, None, None)
        assert run == await read(store, run.id)
        [record] = await back_door.attempts(run.id)
        assert (record.outcome, record.failure_code) == ("requeued", "worker_lost")
        assert record.stop_reason == "lease"

    async def test_a_requeue_without_charge_costs_no_attempt(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        run = await store.requeue(attempt.ref, back(back_door.now(), charge=False))
        assert run.remaining_attempts == FRESH_ATTEMPTS

    async def test_a_requeue_without_attempts_left_is_refused(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        for _ in range(FRESH_ATTEMPTS):
            await store.requeue(attempt.ref, back(back_door.now()))
            attempt = await claimed(store)
        with pytest.raises(LostRace):
            await store.requeue(attempt.ref, back(back_door.now()))
        run = await read(store, attempt.ref.run_id)
        assert (run.state, run.remaining_attempts) == (RunState.IN_PROGRESS, 0)
        await store.requeue(attempt.ref, back(back_door.now(), charge=False))

    # --- cancel -----------------------------------------------------------------------------

    async def test_cancel_of_a_waiting_run_is_done_at_once(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        waiting = await submitted(store)
        run = await store.cancel(waiting.id, BY_USER)
        assert run.state is RunState.CANCELED
        assert run.cancellation == Cancellation(
            requested_time=run.updated_time,
            reason=StopReason.USER,
            canceled_by=CLIENT,
            stage=Stage.QUEUED,
            engine_stop=EngineStop.NEVER_STARTED,
            canceled_time=run.updated_time,
        )
        assert run == await read(store, run.id)
        assert await back_door.attempts(run.id) == []
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits()) == []

    async def test_cancel_of_a_running_run_waits_for_the_engine(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        asked = await store.cancel(attempt.ref.run_id, CancelAsked(StopReason.ADMIN, "root"))
        assert asked.state is RunState.CANCELING
        assert asked.cancellation == Cancellation(asked.updated_time, StopReason.ADMIN, "root")
        await back_door.pass_time(1)
        run = await store.freed(attempt.ref, KILLED)
        assert run.state is RunState.CANCELED
        assert run.cancellation == replace(
            asked.cancellation,
            stage=Stage.EXECUTING,
            engine_stop=EngineStop.KILLED,
            canceled_time=run.updated_time,
        )
        assert run == await read(store, run.id)
        [record] = await back_door.attempts(run.id)
        assert (record.outcome, record.stop_reason) == ("canceled", "admin")

    async def test_asking_twice_is_not_an_error(self, store: RunStore) -> None:
        attempt = await started(store)
        first = await store.cancel(attempt.ref.run_id, BY_USER)
        second = await store.cancel(attempt.ref.run_id, CancelAsked(StopReason.ADMIN, "root"))
        assert second == first

    async def test_cancel_of_an_ended_run_says_how_it_ended(self, store: RunStore) -> None:
        done, failed, stopped = [await started(store) for _ in range(3)]
        await store.complete(done.ref, FILE)
        await store.fail(failed.ref, Failed(BAD_NAME))
        await store.cancel(stopped.ref.run_id, BY_USER)
        await store.freed(stopped.ref, KILLED)
        for attempt, state in ((done, "complete"), (failed, "failed"), (stopped, "canceled")):
            before = await read(store, attempt.ref.run_id)
            with pytest.raises(NotCancellable) as refused:
                await store.cancel(attempt.ref.run_id, BY_USER)
            assert refused.value.state == state
            assert await read(store, attempt.ref.run_id) == before

    async def test_cancel_of_an_unknown_run_is_not_found(self, store: RunStore) -> None:
        with pytest.raises(NotFound):
            await store.cancel(str(uuid4()), BY_USER)

    async def test_a_requeued_run_is_canceled_at_once(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(back_door.now()))
        run = await store.cancel(attempt.ref.run_id, BY_USER)
        assert run.state is RunState.CANCELED
        assert run.attempt == 1

    # --- cancel, once -----------------------------------------------------------------------

    async def test_a_cancel_keeps_its_key_in_flight_until_it_is_finished(
        self, store: RunStore, once_store: IdempotencyStore
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER, once=once())
        with pytest.raises(IdempotencyInFlight):
            once_store.look_once(TENANT, "key-1", "fp-1")
        with pytest.raises(IdempotencyInFlight):
            await store.cancel(attempt.ref.run_id, BY_USER, once=once())
        final = StoredAnswer(200, b"canceled")
        await once_store.finish_once(TENANT, "key-1", final)
        assert once_store.look_once(TENANT, "key-1", "fp-1") == final

    async def test_a_cancel_nobody_finished_replays_what_it_knew(
        self, store: RunStore, once_store: IdempotencyStore, back_door: BackDoor
    ) -> None:
        """The node died between the cancel and its answer: a repeat must not hear 'too late'."""
        run = await submitted(store)
        await store.cancel(run.id, BY_USER, once=once())
        await back_door.pass_time(IN_FLIGHT_S)
        answer = once_store.look_once(TENANT, "key-1", "fp-1")
        assert answer == StoredAnswer(201, run.id.encode())

    async def test_a_cancel_under_a_used_key_changes_nothing(self, store: RunStore) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        with pytest.raises(IdempotencyMismatch):
            await store.cancel(first.run.id, BY_USER, once=once(fingerprint="fp-2"))
        with pytest.raises(IdempotencyInFlight):
            await store.cancel(first.run.id, BY_USER, once=once())
        assert await read(store, first.run.id) == first.run

    async def test_a_refused_cancel_does_not_use_the_key_up(
        self, store: RunStore, once_store: IdempotencyStore
    ) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, FILE)
        with pytest.raises(NotCancellable):
            await store.cancel(attempt.ref.run_id, BY_USER, once=once())
        assert once_store.look_once(TENANT, "key-1", "fp-1") is None

    # --- too late ---------------------------------------------------------------------------

    async def test_nothing_moves_a_canceling_run_but_freed(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        canceling = await store.cancel(attempt.ref.run_id, BY_USER)
        await self._refuses_all_but_freed(store, attempt.ref, back_door.now())
        assert await read(store, attempt.ref.run_id) == canceling
        assert (await store.freed(attempt.ref, KILLED)).state is RunState.CANCELED

    async def test_terminal_is_terminal(self, store: RunStore, back_door: BackDoor) -> None:
        done, failed, stopped = [await started(store) for _ in range(3)]
        await store.complete(done.ref, FILE)
        await store.fail(failed.ref, Failed(BAD_NAME))
        await store.cancel(stopped.ref.run_id, BY_USER)
        await store.freed(stopped.ref, KILLED)
        for attempt in (done, failed, stopped):
            before = await read(store, attempt.ref.run_id)
            await self._refuses_all_but_freed(store, attempt.ref, back_door.now())
            with pytest.raises(LostRace):
                await store.freed(attempt.ref, KILLED)
            assert await read(store, attempt.ref.run_id) == before

    async def test_a_dead_attempt_reports_too_late(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        old = await started(store)
        await store.requeue(old.ref, back(back_door.now()))
        new = await claimed(store, node="node-b")
        await self._refuses_all_but_freed(store, old.ref, back_door.now())
        assert await read(store, old.ref.run_id) == new.run

    async def test_a_dead_attempt_cannot_free_the_next_one(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        old = await started(store)
        await store.requeue(old.ref, back(back_door.now()))
        new = await claimed(store)
        await store.cancel(new.ref.run_id, BY_USER)
        with pytest.raises(LostRace):
            await store.freed(old.ref, KILLED)
        assert (await store.freed(new.ref, KILLED)).state is RunState.CANCELED

    async def test_an_attempt_that_never_was_cannot_report(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        run = await submitted(store)
        for ref in (AttemptRef(run.id, 0), AttemptRef(run.id, 1), AttemptRef(str(uuid4()), 1)):
            await self._refuses_all_but_freed(store, ref, back_door.now())
            with pytest.raises(LostRace):
                await store.freed(ref, KILLED)
        assert await read(store, run.id) == run

    async def test_of_a_finish_and_a_cancel_at_once_one_wins(self, store: RunStore) -> None:
        for _ in range(20):
            attempt = await started(store)
            finish, cancel = await asyncio.gather(
                store.complete(attempt.ref, FILE),
                store.cancel(attempt.ref.run_id, BY_USER),
                return_exceptions=True,
            )
            run = await read(store, attempt.ref.run_id)
            assert isinstance(finish, LostRace) != isinstance(cancel, NotCancellable)
            assert run == (cancel if isinstance(finish, LostRace) else finish)
            if run.state is RunState.CANCELING:
                await store.freed(attempt.ref, KILLED)

    async def _refuses_all_but_freed(self, store: RunStore, ref: AttemptRef, now: datetime) -> None:
        with pytest.raises(LostRace):
            await store.complete(ref, FILE)
        with pytest.raises(LostRace):
            await store.fail(ref, Failed(BAD_NAME))
        with pytest.raises(LostRace):
            await store.requeue(ref, back(now))
        with pytest.raises(LostRace):
            await store.save_handle(ref, handle="h", file_key="k")

    # --- history ----------------------------------------------------------------------------

    async def test_every_move_leaves_one_line_of_history(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        run_id = attempt.ref.run_id
        await store.requeue(attempt.ref, back(back_door.now()))
        second = await claimed(store, node="node-b")
        await store.cancel(run_id, BY_USER)
        await store.freed(second.ref, KILLED)
        history = [(m.attempt, m.event, m.state, m.detail) for m in await store.moves(run_id)]
        assert history == [
            (0, None, RunState.ACCEPTED, None),
            (1, RunEvent.CLAIM, RunState.IN_PROGRESS, "node-a"),
            (1, RunEvent.REQUEUE, RunState.ACCEPTED, "worker_lost"),
            (2, RunEvent.CLAIM, RunState.IN_PROGRESS, "node-b"),
            (2, RunEvent.CANCEL, RunState.CANCELING, "user"),
            (2, RunEvent.FREED, RunState.CANCELED, "killed"),
        ]

    async def test_a_refused_move_leaves_no_history(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, FILE)
        before = await store.moves(attempt.ref.run_id)
        await self._refuses_all_but_freed(store, attempt.ref, back_door.now())
        assert await store.moves(attempt.ref.run_id) == before

    async def test_an_unknown_run_has_no_history(self, store: RunStore) -> None:
        assert await store.moves(str(uuid4())) == []

    async def test_the_update_time_grows_although_the_clock_stands_still(
        self, store: RunStore
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        run = await store.freed(attempt.ref, KILLED)
        times = [move.at for move in await store.moves(run.id)]
        assert times == sorted(set(times))
        assert run.updated_time == times[-1]

    # --- lists ------------------------------------------------------------------------------

    async def test_lists_are_newest_first_unless_asked_otherwise(self, store: RunStore) -> None:
        ids = [(await submitted(store)).id for _ in range(3)]
        newest = await store.find(RunQuery(TENANT))
        oldest = await store.find(RunQuery(TENANT, oldest_first=True))
        assert [run.id for run in newest.runs] == ids[::-1]
        assert [run.id for run in oldest.runs] == ids
        assert newest.next_after is oldest.next_after is None

    @pytest.mark.parametrize("oldest_first", [False, True])
    async def test_pages_neither_skip_nor_repeat_while_runs_arrive(
        self, store: RunStore, oldest_first: bool
    ) -> None:
        ids = [(await submitted(store)).id for _ in range(5)]
        seen: list[str] = []
        query: RunQuery | None = RunQuery(TENANT, limit=2, oldest_first=oldest_first)
        while query is not None and len(seen) < 5:
            page = await store.find(query)
            seen += [run.id for run in page.runs]
            await submitted(store)
            after = page.next_after
            query = None if after is None else replace(query, after=after)
        assert seen[:5] == (ids if oldest_first else ids[::-1])

    async def test_a_list_shows_only_what_its_query_names(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        early = await submitted(store, request(tags=(("team", "a"), ("env", "x"))))
        await back_door.pass_time(10)
        middle = back_door.now()
        warehouse = await submitted(store, request(source="warehouse", tags=(("team", "b"),)))
        entity = await submitted(store, request(entity="entity-2"))
        client = await submitted(store, request(client="client-2"))
        await submitted(store, request(tenant="tenant-2"))
        await store.cancel(early.id, BY_USER)
        everything = RunQuery(TENANT, oldest_first=True)
        for query, expected in (
            (everything, [early, warehouse, entity, client]),
            (replace(everything, entity_id="entity-2"), [entity]),
            (replace(everything, client_id="client-2"), [client]),
            (replace(everything, client_id=CLIENT), [early, warehouse, entity]),
            (RunQuery("tenant-2", client_id="client-2"), []),
            (replace(everything, sources=frozenset({"warehouse"})), [warehouse]),
            (replace(everything, states=frozenset({RunState.CANCELED})), [early]),
            (replace(everything, created_from=middle), [warehouse, entity, client]),
            (replace(everything, created_before=middle), [early]),
            (replace(everything, tags=(("team", "b"),)), [warehouse]),
            (replace(everything, tags=(("team", "a"), ("env", "x"))), [early]),
            (replace(everything, tags=(("team", "a"), ("env", "y"))), []),
            (replace(everything, tags=(("team", "x"),)), []),
        ):
            found = await store.find(query)
            assert [run.id for run in found.runs] == [run.id for run in expected], query

    async def test_a_list_and_a_read_agree(self, store: RunStore) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, FILE)
        page = await store.find(RunQuery(TENANT))
        assert page.runs == (await read(store, attempt.ref.run_id),)

    async def test_a_waiting_run_knows_its_place(self, store: RunStore) -> None:
        runs = [await submitted(store) for _ in range(3)]
        await submitted(store, request(entity="entity-2"))
        await submitted(store, request(source="warehouse"))
        assert [await store.queue_position(run.id) for run in runs] == [0, 1, 2]
        await claimed(store)
        assert [await store.queue_position(run.id) for run in runs] == [None, 0, 1]
        assert await store.queue_position(str(uuid4())) is None

    async def test_counts_are_by_source_and_state(self, store: RunStore) -> None:
        done, stopped, _ = [await started(store) for _ in range(3)]
        await store.complete(done.ref, FILE)
        await store.cancel(stopped.ref.run_id, BY_USER)
        for source in ("live", "warehouse", "warehouse"):
            await submitted(store, request(source=source))
        assert await store.counts() == {
            ("live", RunState.ACCEPTED): 1,
            ("live", RunState.IN_PROGRESS): 1,
            ("live", RunState.CANCELING): 1,
            ("warehouse", RunState.ACCEPTED): 2,
        }

    async def test_a_store_that_can_read_is_healthy(self, store: RunStore) -> None:
        assert await store.healthy()

    # --- retention --------------------------------------------------------------------------

    async def test_ended_runs_are_removed_with_all_their_rows(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        attempt = await started(store)
        run_id = attempt.ref.run_id
        await store.save_handle(attempt.ref, handle="h", file_key="try_1.csv")
        await store.requeue(attempt.ref, back(back_door.now()))
        second = await claimed(store)
        await store.save_handle(second.ref, handle="h", file_key=FILE.file.key)
        await store.complete(second.ref, FILE)
        await back_door.pass_time(10)
        [expired] = await store.remove_expired(ended_before=back_door.now(), limit=10)
        assert expired.run_id == run_id
        assert set(expired.file_keys) == {"try_1.csv", FILE.file.key}
        assert await store.get(run_id) is None
        assert await back_door.rows_about(run_id) == 0

    async def test_retention_spares_the_young_and_the_unended(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        canceling = await started(store)
        await store.cancel(canceling.ref.run_id, BY_USER)
        running = await started(store)
        waiting = await submitted(store)
        await back_door.pass_time(10)
        boundary = back_door.now()
        young = await submitted(store)
        await store.cancel(young.id, BY_USER)
        await back_door.pass_time(10)
        assert await store.remove_expired(ended_before=boundary, limit=10) == []
        for run_id in (canceling.ref.run_id, running.ref.run_id, waiting.id, young.id):
            assert await store.get(run_id) is not None

    async def test_retention_stops_at_its_limit(self, store: RunStore, back_door: BackDoor) -> None:
        for _ in range(5):
            await store.cancel((await submitted(store)).id, BY_USER)
        await back_door.pass_time(10)
        removed = [
            len(await store.remove_expired(ended_before=back_door.now(), limit=2)) for _ in range(4)
        ]
        assert removed == [2, 2, 1, 0]

    async def test_a_key_whose_run_is_gone_makes_a_new_run(
        self, store: RunStore, back_door: BackDoor
    ) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        await store.cancel(first.run.id, BY_USER)
        await back_door.pass_time(10)
        await store.remove_expired(ended_before=back_door.now(), limit=10)
        second = await store.accept(request(), run_id=str(uuid4()), queue_limit=0, once=once())
        assert second.replay is None
        assert await store.get(second.run.id) == second.run
