"""What every RunStore must do with the moves of a run: ends, cancels, and late reports."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
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
)
from queryrun.runs.idempotency import KEY_RESERVATION_S, IdempotencyStore
from queryrun.runs.model import (
    DEFAULT_MAX_RETRIES,
    AttemptRef,
    Cancellation,
    EngineStop,
    Stage,
    StopReason,
)
from queryrun.runs.state import RunEvent, RunState
from queryrun.runs.store import (
    CancelRequested,
    Failed,
    RunStore,
)
from tests.contract.run_store_fixtures import (
    BAD_NAME,
    BY_USER,
    CLIENT,
    FILE,
    KILLED,
    LEASE_S,
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


class TransitionsContract:
    """What ends an attempt: completion, failure, requeue and cancel."""

    pytestmark = pytest.mark.anyio

    # --- ends ------------------------------------------------------------------------------------

    async def test_a_complete_run_has_its_file(self, store: RunStore, raw: RawDatabase) -> None:
        attempt = await started(store)
        run = await store.complete(attempt.ref, FILE)
        assert run.state is RunState.COMPLETE
        assert (run.file, run.processing_ms) == (FILE.file, FILE.processing_ms)
        assert run == await read(store, run.id)
        [record] = await raw.attempts(run.id)
        assert (record.is_finished, record.outcome) == (True, "complete")

    async def test_a_failed_run_has_its_error_and_position(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        run = await store.fail(attempt.ref, Failed(BAD_NAME))
        assert (run.state, run.failure, run.cancellation) == (RunState.FAILED, BAD_NAME, None)
        assert run == await read(store, run.id)
        [record] = await raw.attempts(run.id)
        assert (record.outcome, record.failure_code) == ("failed", "name_not_found")

    async def test_a_run_stopped_for_a_limit_fails_with_the_record_of_the_stop(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        too_long = Failure(FailureCode.TIME_LIMIT_EXCEEDED, "more than 1 h")
        stop = Cancellation(raw.now(), StopReason.TIMEOUT, None, Stage.EXECUTING, EngineStop.KILLED)
        run = await store.fail(attempt.ref, Failed(too_long, stop))
        assert (run.state, run.failure, run.cancellation) == (RunState.FAILED, too_long, stop)
        [record] = await raw.attempts(run.id)
        assert (record.stop_reason, record.stop_engine) == ("timeout", "killed")

    async def test_a_requeue_costs_an_attempt_and_waits(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        ready = raw.now() + timedelta(seconds=3)
        stop = Cancellation(raw.now(), StopReason.LEASE, None, Stage.EXECUTING, EngineStop.KILLED)
        run = await store.requeue(attempt.ref, replace(back(3), cancellation=stop))
        assert (run.state, run.ready_time) == (RunState.ACCEPTED, ready)
        assert (run.attempt, run.remaining_attempts) == (1, DEFAULT_MAX_RETRIES - 1)
        assert (run.failure, run.cancellation, run.file) == (None, None, None)
        assert run == await read(store, run.id)
        [record] = await raw.attempts(run.id)
        assert (record.outcome, record.failure_code) == ("requeued", "worker_lost")
        assert record.stop_reason == "lease"

    async def test_a_requeue_without_charge_costs_no_attempt(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        run = await store.requeue(attempt.ref, back(charge=False))
        assert run.remaining_attempts == DEFAULT_MAX_RETRIES

    async def test_a_requeue_without_attempts_left_is_refused(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        for _ in range(DEFAULT_MAX_RETRIES):
            await store.requeue(attempt.ref, back())
            attempt = await claimed(store)
        with pytest.raises(LostRace):
            await store.requeue(attempt.ref, back())
        run = await read(store, attempt.ref.run_id)
        assert (run.state, run.remaining_attempts) == (RunState.IN_PROGRESS, 0)
        await store.requeue(attempt.ref, back(charge=False))

    @pytest.mark.parametrize("max_retries", [0, 1, 20])
    async def test_a_run_is_requeued_as_often_as_its_source_allows(
        self, store: RunStore, raw: RawDatabase, max_retries: int
    ) -> None:
        run = await submitted(store, request(max_retries=max_retries))
        assert (run.remaining_attempts, run.request.max_retries) == (max_retries, max_retries)
        assert run == await read(store, run.id)
        attempt = await claimed(store)
        for _ in range(max_retries):
            await store.requeue(attempt.ref, back())
            attempt = await claimed(store)
        with pytest.raises(LostRace):
            await store.requeue(attempt.ref, back())

    # --- cancel ----------------------------------------------------------------------------------

    async def test_cancel_of_a_waiting_run_completes_immediately(
        self, store: RunStore, raw: RawDatabase
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
        assert await raw.attempts(run.id) == []
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits()) == []

    async def test_cancel_of_a_running_run_waits_for_the_engine(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        canceling = await store.cancel(
            attempt.ref.run_id, CancelRequested(StopReason.ADMIN, "root")
        )
        assert canceling.state is RunState.CANCELING
        assert canceling.cancellation == Cancellation(
            canceling.updated_time, StopReason.ADMIN, "root"
        )
        await raw.pass_time(1)
        run = await store.freed(attempt.ref, KILLED)
        assert run.state is RunState.CANCELED
        assert run.cancellation == replace(
            canceling.cancellation,
            stage=Stage.EXECUTING,
            engine_stop=EngineStop.KILLED,
            canceled_time=run.updated_time,
            steps=KILLED.steps,
        )
        assert run == await read(store, run.id)
        [record] = await raw.attempts(run.id)
        assert (record.outcome, record.stop_reason) == ("canceled", "admin")

    async def test_canceling_twice_is_not_an_error(self, store: RunStore) -> None:
        attempt = await started(store)
        first = await store.cancel(attempt.ref.run_id, BY_USER)
        second = await store.cancel(attempt.ref.run_id, CancelRequested(StopReason.ADMIN, "root"))
        assert second == first

    async def test_cancel_of_a_finished_run_returns_its_final_state(self, store: RunStore) -> None:
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

    async def test_a_requeued_run_is_canceled_immediately(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back())
        run = await store.cancel(attempt.ref.run_id, BY_USER)
        assert run.state is RunState.CANCELED
        assert run.attempt == 1

    # --- cancel, idempotent ----------------------------------------------------------------------

    async def test_a_cancel_keeps_its_key_in_flight_until_it_is_finished(
        self, store: RunStore, idempotency_store: IdempotencyStore
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER, idempotent=idempotent())
        with pytest.raises(IdempotencyInFlight):
            await idempotency_store.find_key(idempotent().idempotency_key)
        with pytest.raises(IdempotencyInFlight):
            await store.cancel(attempt.ref.run_id, BY_USER, idempotent=idempotent())
        final = b"canceled"
        await idempotency_store.complete_key(idempotent().idempotency_key, final)
        assert await idempotency_store.find_key(idempotent().idempotency_key) == final

    async def test_a_cancel_without_a_stored_response_replays_the_run_id(
        self, store: RunStore, idempotency_store: IdempotencyStore, raw: RawDatabase
    ) -> None:
        """The node died between the cancel and its response: a repeat must not get 'too late'."""
        run = await submitted(store)
        await store.cancel(run.id, BY_USER, idempotent=idempotent())
        await raw.pass_time(KEY_RESERVATION_S)
        found = await idempotency_store.find_key(idempotent().idempotency_key)
        assert found == run.id.encode()

    async def test_a_cancel_under_a_used_key_changes_nothing(self, store: RunStore) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        with pytest.raises(IdempotencyMismatch):
            await store.cancel(first.run.id, BY_USER, idempotent=idempotent(fingerprint="fp-2"))
        with pytest.raises(IdempotencyInFlight):
            await store.cancel(first.run.id, BY_USER, idempotent=idempotent())
        assert await read(store, first.run.id) == first.run

    async def test_a_refused_cancel_does_not_use_the_key_up(
        self, store: RunStore, idempotency_store: IdempotencyStore
    ) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, FILE)
        with pytest.raises(NotCancellable):
            await store.cancel(attempt.ref.run_id, BY_USER, idempotent=idempotent())
        assert await idempotency_store.find_key(idempotent().idempotency_key) is None

    # --- too late --------------------------------------------------------------------------------

    async def test_only_freed_moves_a_canceling_run(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        canceling = await store.cancel(attempt.ref.run_id, BY_USER)
        await self._refuses_all_but_freed(store, attempt.ref, raw.now())
        assert await read(store, attempt.ref.run_id) == canceling
        assert (await store.freed(attempt.ref, KILLED)).state is RunState.CANCELED

    async def test_terminal_is_terminal(self, store: RunStore, raw: RawDatabase) -> None:
        done, failed, stopped = [await started(store) for _ in range(3)]
        await store.complete(done.ref, FILE)
        await store.fail(failed.ref, Failed(BAD_NAME))
        await store.cancel(stopped.ref.run_id, BY_USER)
        await store.freed(stopped.ref, KILLED)
        for attempt in (done, failed, stopped):
            before = await read(store, attempt.ref.run_id)
            await self._refuses_all_but_freed(store, attempt.ref, raw.now())
            with pytest.raises(LostRace):
                await store.freed(attempt.ref, KILLED)
            assert await read(store, attempt.ref.run_id) == before

    async def test_a_report_of_a_dead_attempt_is_too_late(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        old = await started(store)
        await store.requeue(old.ref, back())
        new = await claimed(store, node="node-b")
        await self._refuses_all_but_freed(store, old.ref, raw.now())
        assert await read(store, old.ref.run_id) == new.run

    async def test_a_dead_attempt_cannot_free_the_next_one(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        old = await started(store)
        await store.requeue(old.ref, back())
        new = await claimed(store)
        await store.cancel(new.ref.run_id, BY_USER)
        with pytest.raises(LostRace):
            await store.freed(old.ref, KILLED)
        assert (await store.freed(new.ref, KILLED)).state is RunState.CANCELED

    async def test_an_unknown_attempt_cannot_report(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        run = await submitted(store)
        for ref in (AttemptRef(run.id, 0), AttemptRef(run.id, 1), AttemptRef(str(uuid4()), 1)):
            await self._refuses_all_but_freed(store, ref, raw.now())
            with pytest.raises(LostRace):
                await store.freed(ref, KILLED)
        assert await read(store, run.id) == run

    async def test_one_of_a_concurrent_finish_and_cancel_wins(self, store: RunStore) -> None:
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
            await store.requeue(ref, back())
        with pytest.raises(LostRace):
            await store.save_handle(ref, handle="h", file_key="k")

    # --- history ---------------------------------------------------------------------------------

    async def test_every_transition_adds_one_event_record(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        run_id = attempt.ref.run_id
        await store.requeue(attempt.ref, back())
        second = await claimed(store, node="node-b")
        await store.cancel(run_id, BY_USER)
        await store.freed(second.ref, KILLED)
        history = [(m.attempt, m.event, m.state, m.detail) for m in await store.events(run_id)]
        assert history == [
            (0, None, RunState.ACCEPTED, None),
            (1, RunEvent.CLAIM, RunState.IN_PROGRESS, "node-a"),
            (1, RunEvent.REQUEUE, RunState.ACCEPTED, "worker_lost"),
            (2, RunEvent.CLAIM, RunState.IN_PROGRESS, "node-b"),
            (2, RunEvent.CANCEL, RunState.CANCELING, "user"),
            (2, RunEvent.FREED, RunState.CANCELED, "killed"),
        ]

    async def test_a_refused_transition_adds_no_event_record(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, FILE)
        before = await store.events(attempt.ref.run_id)
        await self._refuses_all_but_freed(store, attempt.ref, raw.now())
        assert await store.events(attempt.ref.run_id) == before

    async def test_an_unknown_run_has_no_event_records(self, store: RunStore) -> None:
        assert await store.events(str(uuid4())) == []

    async def test_the_update_time_increases_although_the_clock_stands_still(
        self, store: RunStore
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        run = await store.freed(attempt.ref, KILLED)
        times = [move.at for move in await store.events(run.id)]
        assert times == sorted(set(times))
        assert run.updated_time == times[-1]
