"""What is broken, one mechanism at a time, as edits of the syntax tree or of a named statement."""

from __future__ import annotations

from dataclasses import dataclass

from tests.mutants.edits import Edit, FileEdit, SqlEdit, TableEdit


@dataclass(frozen=True, slots=True)
class Mutation:
    """One broken mechanism. `harmless` is why no test is expected to notice."""

    name: str
    edits: tuple[FileEdit, ...]
    harmless: str = ""
    crashes: bool = False
    """Whether the tests that kill the server, which take a minute, are run too."""
    classes: str = "ABCDEG"
    """Of the suite; F, which takes long, where slots and what is left behind are touched."""


_ATTEMPT = "src/queryrun/runs/attempt.py"
_CHILD = "src/queryrun/processes/child_setup.py"
_CONFIRM = "src/queryrun/runs/confirm_stop.py"
_CONTROL = "src/queryrun/worker/control.py"
_DISPATCH = "src/queryrun/runs/dispatch.py"
_POOL = "src/queryrun/worker/pool.py"
_REAP = "src/queryrun/runs/reap.py"
_STATE = "src/queryrun/runs/state.py"
_RUNS_SQL = "src/queryrun/db/sqlite/sql/runs.sql"
_STORE = "src/queryrun/db/sqlite/runs.py"
_TRANSITIONS = "src/queryrun/db/sqlite/transitions.py"

_STOP_THE_RUN = "runner.stop(run.cancellation.reason, run.cancellation.canceled_by)"
_STOP_FIRST = "stop = await self._stop_and_confirm(worker)"
_EXPIRY = "until_ms = self._now_ms() + _ms(lease_s)"
_CANCELING_TO_COMPLETE = "(RunState.CANCELING, RunEvent.COMPLETE): RunState.COMPLETE"
_NO_PDEATHSIG = Edit(_CHILD, "die_with_parent", "_prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)", "")

MUTATIONS = (
    Mutation(
        "cancel goes straight to canceled",
        (
            TableEdit(
                _STATE,
                "TRANSITIONS",
                "(RunState.IN_PROGRESS, RunEvent.CANCEL)",
                "RunState.CANCELED",
            ),
            Edit(
                _DISPATCH,
                "Dispatcher._on_change",
                "run.state is RunState.CANCELING",
                "run.state is RunState.CANCELED",
            ),
        ),
    ),
    Mutation(
        "no kill after the grace", (Edit(_POOL, "WorkerPool._stop", "worker.process.kill()", ""),)
    ),
    Mutation(
        "answered before the worker is reaped",
        (Edit(_POOL, "WorkerPool._stop", "await self._wait_reaped(worker)", "None"),),
    ),
    Mutation(
        "the handle is saved although a cancel came first",
        (SqlEdit(_RUNS_SQL, "save_handle", "AND state = 'in_progress'", ""),),
    ),
    Mutation(
        "no fence: any attempt may write",
        (
            Edit(
                _TRANSITIONS,
                "_fenced",
                "stored is None or stored.run.attempt != ref.number",
                "stored is None",
            ),
        ),
    ),
    Mutation(
        "complete wins over an accepted cancel",
        (
            TableEdit(
                _STATE,
                "TRANSITIONS",
                "(RunState.CANCELING, RunEvent.COMPLETE)",
                "RunState.COMPLETE",
            ),
        ),
    ),
    Mutation(
        "the file stays after a lost race",
        (Edit(_ATTEMPT, "AttemptRunner._settle", "await self._discard_file()", ""),),
    ),
    Mutation(
        "workers outlive their server",
        (
            _NO_PDEATHSIG,
            Edit(
                _CONTROL,
                "Control._listen_or_exit",
                "os.killpg(0, signal.SIGKILL)",
                "threading.Event().wait()",
            ),
        ),
        crashes=True,
    ),
    Mutation(
        "no PDEATHSIG, but the end of the pipe is noticed",
        (_NO_PDEATHSIG,),
        crashes=True,
        harmless="two nets: the control thread kills the process group at the pipe's end",
    ),
    Mutation(
        "queued again without a stop",
        (
            Edit(
                _ATTEMPT,
                "AttemptRunner._settle",
                _STOP_FIRST,
                "stop = ConfirmedStop(EngineStop.KILLED)\n"
                f"if self._is_cancel_requested():\n    {_STOP_FIRST}",
            ),
        ),
    ),
    Mutation(
        "the slot is free before the worker is reaped",
        (
            Edit(
                _DISPATCH,
                "Dispatcher._stop_canceled",
                _STOP_THE_RUN,
                f"{_STOP_THE_RUN}\nself._tasks.pop(runner.ref, None)\nself._wake.set()",
            ),
        ),
        classes="ABCDEFG",
    ),
    Mutation(
        "an expired lease is settled without a kill",
        (
            Edit(
                _REAP,
                "Reaper._stop",
                "await self._kill_by_handle(attempt.handle)",
                "EngineStop.KILLED",
            ),
        ),
    ),
    Mutation(
        "a node keeps the leases of attempts that it does not run",
        (
            Edit(
                _STORE,
                "SqliteRunStore.extend.unit",
                _EXPIRY,
                f"{_EXPIRY}\n"
                "keep = 'UPDATE attempts SET lease_until_ms = ? WHERE node = ?'\n"
                "connection.execute(keep, (until_ms, node))",
            ),
        ),
    ),
    Mutation(
        "a worker that cannot be reaped is believed gone",
        (
            Edit(
                _CONFIRM,
                "StopConfirmation._until_reaped",
                "self._alert('worker_not_reaped')",
                "return Stopped(EngineStop.KILLED, None)",
            ),
        ),
    ),
    Mutation(
        "the hint of a cancel is lost",
        (Edit(_DISPATCH, "Dispatcher._on_change", "self._stop_canceled(run)", ""),),
    ),
    Mutation(
        "spill files stay",
        (
            Edit(
                _POOL,
                "WorkerPool._watch",
                "await asyncio.to_thread(self._spill.remove, directory)",
                "",
            ),
        ),
        classes="ABCDEFG",
    ),
    Mutation(
        "a limit stops without saying so",
        (Edit(_ATTEMPT, "AttemptRunner._settle", "self.stop(StopReason.LIMIT)", ""),),
    ),
    Mutation(
        "a single interrupt",
        (
            Edit(
                _CONTROL,
                "Control._poll_timeout_s",
                "INTERRUPT_INTERVAL_S if self.interrupted else PROGRESS_INTERVAL_S",
                "3600.0 if self.interrupted else PROGRESS_INTERVAL_S",
            ),
        ),
        harmless="the kill after the grace ends whatever an interrupt did not",
    ),
)
