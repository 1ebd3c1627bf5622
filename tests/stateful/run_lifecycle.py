"""A machine that drives the life of runs on a real store, and on an engine that it models.

Several nodes claim, start, finish, fail and requeue; callers cancel; leases expire; a reaper takes
over; dead attempts report late. The model is the last response to callers, and the set of
attempts that work on the engine at this moment. `test_run_lifecycle*.py` run it against the
stores, `test_the_machine_catches_mutants.py` against broken ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
)

from queryrun.errors import Failure, FailureCode, LostRace, NotCancellable, NotFound, QueueFull
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    EngineStop,
    Output,
    ResultFile,
    Run,
    RunRequest,
    Stage,
    StopReason,
)
from queryrun.runs.state import HELD, TRANSITIONS, RunState
from queryrun.runs.store import (
    CancelRequested,
    ClaimLimits,
    Completed,
    Failed,
    Freed,
    QueueLimits,
    Requeued,
    RunStore,
)
from tests.conftest import Clock
from tests.stateful.shares import Load, check_claim, owner

T = TypeVar("T")

LEASE_S = 30.0
RUNNING_LIMIT = 3
QUEUE_LIMIT = 4
SOURCES = ("live", "warehouse")
MOVES = TRANSITIONS.items()
LOST = Failure(FailureCode.WORKER_LOST, "the worker died")
KILLED = Freed(EngineStop.KILLED, Stage.EXECUTING)

nodes = st.sampled_from(["node-a", "node-b", "node-c"])
tenants = st.sampled_from(["tenant-1", "tenant-2"])
entities = st.sampled_from(["entity-1", "entity-2", "entity-3"])
sources = st.sampled_from(SOURCES)


class RunLifecycle(RuleBasedStateMachine):
    """See the module. Subclasses provide a store; mutants break one thing each."""

    runs: Bundle[str] = Bundle("runs")
    attempts: Bundle[AttemptRef] = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.store = self.open_store()
        self.loop = asyncio.Runner()
        self.known: dict[str, Run] = {}
        """What a caller or a node was last told of each run."""
        self.gone: set[str] = set()
        """Runs past their retention."""
        self.working: set[AttemptRef] = set()
        """What works on the engine at this moment."""
        self.leases: dict[AttemptRef, tuple[str, datetime]] = {}
        """The node and the end of the lease of each attempt that has not ended."""
        self.reported: dict[AttemptRef, AttemptProgress] = {}
        """How far the node of each of these attempts last said that it is."""

    # --- the store --------------------------------------------------------------------------

    def open_store(self) -> tuple[Clock, RunStore]:
        """An empty store, and the clock that it goes by."""
        raise NotImplementedError

    def close_store(self) -> None:
        """Leave the store."""

    # --- what mutants change ----------------------------------------------------------------

    def stop_before_requeue(self, ref: AttemptRef) -> None:
        """A requeue is preceded by the proof that the attempt's work has stopped."""
        self.stop(ref)

    # --- callers ----------------------------------------------------------------------------

    @rule(target=runs, tenant=tenants, entity=entities, source=sources)
    def submit(self, tenant: str, entity: str, source: str) -> str | MultipleResults[str]:
        """A run is accepted, unless the entity's own queue is full."""
        request = RunRequest(tenant, entity, "c", source, "SELECT 1", Output(ContentType.CSV))
        waiting = [r for r in self.known.values() if r.state is RunState.ACCEPTED]
        full = sum(owner(run) == (source, tenant, entity) for run in waiting) >= QUEUE_LIMIT
        try:
            accepted = self.do(
                self.store.accept(
                    request, run_id=str(uuid4()), queue_limits=QueueLimits(QUEUE_LIMIT)
                )
            )
        except QueueFull:
            assert full
            return multiple()
        assert not full
        self.known[accepted.run.id] = accepted.run
        return accepted.run.id

    @rule(run_id=runs)
    def cancel(self, run_id: str) -> None:
        """A cancel is accepted for good, or refused because the run had finished."""
        try:
            run = self.do(self.store.cancel(run_id, CancelRequested(StopReason.USER, "c")))
        except NotFound:
            assert run_id in self.gone
            return
        except NotCancellable as refused:
            terminal = refused.state
            assert RunState(terminal).is_terminal
            assert self.known[run_id].state == terminal
            return
        before = self.known[run_id]
        if before.state is RunState.CANCELING:
            assert run == before
        else:
            assert run.state is (
                RunState.CANCELED if before.state is RunState.ACCEPTED else RunState.CANCELING
            )
        self.learn(run)

    # --- nodes ------------------------------------------------------------------------------

    @rule(target=attempts, node=nodes, slots=st.integers(0, 4), fair_slots=st.integers(0, 2))
    def claim(self, node: str, slots: int, fair_slots: int) -> MultipleResults[AttemptRef]:
        """A node takes what is waiting, within the limits, and gives every entity its share."""
        running = dict.fromkeys(SOURCES, RUNNING_LIMIT)
        limits = ClaimLimits(SOURCES, slots, running, fair_slots=fair_slots)
        load = self.load()
        taken = self.do(self.store.claim(node, lease_s=LEASE_S, limits=limits))
        check_claim(load, [attempt.run for attempt in taken], limits)
        for attempt in taken:
            before = self.known[attempt.ref.run_id]
            assert before.state is RunState.ACCEPTED
            assert attempt.ref.number == before.attempt + 1
            self.learn(attempt.run)
            self.leases[attempt.ref] = (node, self.clock() + timedelta(seconds=LEASE_S))
        return multiple(*(attempt.ref for attempt in taken))

    @rule(ref=attempts)
    def start(self, ref: AttemptRef) -> None:
        """The handle is saved, and only then the engine begins to work."""
        try:
            self.do(self.store.save_handle(ref, handle="h", file_key=f"{ref.run_id}_1.csv"))
        except LostRace:
            assert not self.may_report(ref)
            return
        assert self.may_report(ref)
        self.working.add(ref)

    @rule(ref=attempts)
    def complete(self, ref: AttemptRef) -> None:
        """The work is done and reported, by a live attempt or much too late by a dead one."""
        self.stop(ref)
        file = ResultFile(f"{ref.run_id}_1.csv", 10, "ab", 1)
        self.report(ref, self.store.complete(ref, Completed(file, 5)), RunState.COMPLETE)

    @rule(ref=attempts)
    def fail(self, ref: AttemptRef) -> None:
        """The attempt reports a failure that another attempt cannot help."""
        self.stop(ref)
        failure = Failure(FailureCode.TYPE_MISMATCH, "no", 1, 1)
        self.report(ref, self.store.fail(ref, Failed(failure)), RunState.FAILED)

    @rule(ref=attempts, back_off_s=st.sampled_from([0, 5]), charge=st.booleans())
    def requeue(self, ref: AttemptRef, back_off_s: int, charge: bool) -> None:
        """The attempt had an engine error, or its node leaves."""
        if self.may_report(ref):
            self.stop_before_requeue(ref)
        before = self.known.get(ref.run_id)
        left = before.remaining_attempts if before else 0
        self.report(
            ref,
            self.store.requeue(ref, Requeued(LOST, back_off_s, charge)),
            RunState.ACCEPTED,
            refused=charge and left == 0,
        )

    @rule(ref=attempts)
    def freed(self, ref: AttemptRef) -> None:
        """The attempt's work is stopped, which is then reported."""
        self.stop(ref)
        try:
            run = self.do(self.store.freed(ref, KILLED))
        except LostRace:
            assert not self.is_newest(ref, RunState.CANCELING)
            return
        assert self.is_newest(ref, RunState.CANCELING)
        assert run.state is RunState.CANCELED
        self.end(ref, run)

    @rule(node=nodes, rows=st.one_of(st.none(), st.integers(0, 9)))
    def extend(self, node: str, rows: int | None) -> None:
        """A node extends its leases, reports progress (ignored for others' attempts), and learns
        which of its attempts it must stop."""
        own = {ref for ref, (holder, _) in self.leases.items() if holder == node}
        progress = None if rows is None else AttemptProgress(Stage.WRITING, None, rows, rows * 10)
        reported = dict.fromkeys(self.leases, progress) if progress else None
        held = self.do(
            self.store.extend(node, list(self.leases), lease_s=LEASE_S, progress=reported)
        )
        if progress:
            self.reported |= dict.fromkeys(own, progress)
        assert {item.ref: item.state for item in held} == {
            ref: self.known[ref.run_id].state for ref in own
        }
        for ref in own:
            self.leases[ref] = (node, self.clock() + timedelta(seconds=LEASE_S))

    @rule(seconds=st.sampled_from([0.001, 5, LEASE_S]))
    def pass_time(self, seconds: float) -> None:
        """Back-offs end and leases expire."""
        self.clock.move(seconds)

    @rule(node=nodes, rival=nodes)
    def reap(self, node: str, rival: str) -> None:
        """A reaper takes over expired attempts, stops their work and settles them."""
        expired = self.do(self.store.expired_leases())
        assert {attempt.ref for attempt in expired} == {
            ref for ref, (_, until) in self.leases.items() if until <= self.clock()
        }
        for attempt in expired[:1]:
            assert self.do(self.store.take_over(attempt.ref, node, lease_s=LEASE_S))
            assert not self.do(self.store.take_over(attempt.ref, rival, lease_s=LEASE_S))
            self.leases[attempt.ref] = (node, self.clock() + timedelta(seconds=LEASE_S))
            assert self.do(self.store.progress(attempt.ref.run_id)) is None
            self.clean_up(attempt)

    @rule()
    def expire(self) -> None:
        """Finished runs are removed after an hour of the store's time."""
        self.clock.move(3600)
        gone = {run.id for run in self.known.values() if run.state.is_terminal}
        removed = self.do(self.store.remove_expired(retention_s=0, limit=1000))
        assert removed == len(gone)
        for run_id in gone:
            assert self.do(self.store.events(run_id)) == []
            del self.known[run_id]
        self.gone |= gone

    # --- what must hold at every moment -----------------------------------------------------

    @invariant()
    def results_and_reads_agree(self) -> None:
        """A read returns the last response completely."""
        for run_id, known in self.known.items():
            assert self.do(self.store.get(run_id)) == known
        for run_id in self.gone:
            assert self.do(self.store.get(run_id)) is None

    @invariant()
    def progress_is_what_was_last_reported_of_a_live_attempt(self) -> None:
        """And there is none of anything else."""
        for run in self.known.values():
            reported = (
                self.reported.get(AttemptRef(run.id, run.attempt)) if run.state in HELD else None
            )
            assert self.do(self.store.progress(run.id)) == reported

    @invariant()
    def canceled_means_free(self) -> None:
        """Nothing of a finished or waiting run works; of a held one, at most the newest attempt."""
        for ref in self.working:
            run = self.known[ref.run_id]
            assert run.state in HELD, f"{run.state}, but attempt {ref.number} still works"
            assert run.attempt == ref.number

    @invariant()
    def a_file_belongs_to_a_complete_run(self) -> None:
        """A file exists exactly for `complete`."""
        for run in self.known.values():
            assert (run.file is not None) == (run.state is RunState.COMPLETE)

    @invariant()
    def attempts_are_never_overdrawn(self) -> None:
        """Retries left are 0 to 3."""
        assert all(0 <= run.remaining_attempts <= 3 for run in self.known.values())

    @invariant()
    def tenants_stay_within_their_limits(self) -> None:
        """Slots in use, `canceling` included."""
        assert all(used <= 2 * RUNNING_LIMIT for used in self.slots_in_use().values())

    # --- the model --------------------------------------------------------------------------

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for one call of the store."""
        return self.loop.run(coroutine)

    def learn(self, run: Run) -> None:
        """Record the response, after checking that it may follow the previous one."""
        before = self.known[run.id]
        if run != before:
            assert run.state in {after for (was, _), after in MOVES if was is before.state}
            assert run.updated_time > before.updated_time
        if before.cancellation is not None and before.state in (
            RunState.CANCELING,
            RunState.CANCELED,
        ):
            assert run.state in (RunState.CANCELING, RunState.CANCELED)
            assert (run.attempt, run.file) == (before.attempt, None)
        self.known[run.id] = run

    def end(self, ref: AttemptRef, run: Run) -> None:
        """The attempt is finished, and so is its lease."""
        self.learn(run)
        del self.leases[ref]

    def stop(self, ref: AttemptRef) -> None:
        """Kill the attempt's work and check that it is gone; the engine drops finished work too."""
        self.working.discard(ref)

    def report(
        self,
        ref: AttemptRef,
        write: Coroutine[Any, Any, Run],
        after: RunState,
        *,
        refused: bool = False,
    ) -> None:
        """A fenced write, which must succeed exactly when the attempt is live."""
        try:
            run = self.do(write)
        except LostRace:
            assert refused or not self.may_report(ref)
            return
        assert not refused
        assert self.may_report(ref), f"attempt {ref.number} is dead, but was believed"
        assert run.state is after
        self.end(ref, run)

    def clean_up(self, attempt: Attempt) -> None:
        """What a reaper does with an attempt whose node is gone."""
        ref, run = attempt.ref, attempt.run
        if run.state is RunState.CANCELING:
            self.stop(ref)
            self.end(ref, self.do(self.store.freed(ref, KILLED)))
        elif run.remaining_attempts > 0:
            self.stop_before_requeue(ref)
            again = Requeued(LOST, 5)
            self.end(ref, self.do(self.store.requeue(ref, again)))
        else:
            self.stop(ref)
            self.end(ref, self.do(self.store.fail(ref, Failed(LOST))))

    def is_newest(self, ref: AttemptRef, state: RunState) -> bool:
        """Whether the run is in that state, under this attempt."""
        run = self.known.get(ref.run_id)
        return run is not None and run.attempt == ref.number and run.state is state

    def may_report(self, ref: AttemptRef) -> bool:
        """Whether the attempt is live."""
        return self.is_newest(ref, RunState.IN_PROGRESS)

    def slots_in_use(self) -> Counter[tuple[str, str]]:
        """Held runs by source and tenant."""
        return Counter(slot(run) for run in self.known.values() if run.state in HELD)

    def load(self) -> Load:
        """What runs and what waits."""
        waiting = [run for run in self.known.values() if run.state is RunState.ACCEPTED]
        return Load(
            running=Counter(owner(run) for run in self.known.values() if run.state in HELD),
            waiting=Counter(owner(run) for run in waiting),
            ready=Counter(owner(run) for run in waiting if run.ready_time <= self.clock()),
        )

    def teardown(self) -> None:
        """The history of every run is one that the table of transitions allows."""
        try:
            for run_id, known in self.known.items():
                self.check_history(run_id, known)
        finally:
            self.close_store()
            self.loop.close()

    def check_history(self, run_id: str, known: Run) -> None:
        """Each move follows from the one before, and the last one is where the run is."""
        history = self.do(self.store.events(run_id))
        for before, move in pairwise(history):
            assert move.event is not None
            assert TRANSITIONS[before.state, move.event] is move.state
            assert move.at > before.at
        assert (history[-1].state, history[-1].at) == (known.state, known.updated_time)


def slot(run: Run) -> tuple[str, str]:
    """Whose slot the run takes: source and tenant."""
    return run.request.source, run.request.tenant_id
