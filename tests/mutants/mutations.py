"""What is broken, one mechanism at a time, as a replacement of text in one or more files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement; `old` must occur exactly once in the file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One broken mechanism. `harmless` says why nothing is expected to notice."""

    name: str
    edits: tuple[Edit, ...]
    harmless: str = ""
    crashes: bool = False
    """Whether the tests that kill the server, which take a minute, are asked too."""
    classes: str = "ABCDEG"
    """Of the suite; F, which takes long, where slots and what is left behind are touched."""


_ATTEMPT = "src/queryrun/runs/attempt.py"
_POOL = "src/queryrun/worker/pool.py"
_STATE = "src/queryrun/runs/state.py"
_STORE = "src/queryrun/db/sqlite/runs.py"
_MOVES = "src/queryrun/db/sqlite/transitions.py"
_REAP = "src/queryrun/runs/reap.py"
_DISPATCH = "src/queryrun/runs/dispatch.py"

MUTATIONS = (
    Mutation(
        "cancel goes straight to canceled",
        (
            Edit(
                _STATE,
                "(RunState.IN_PROGRESS, RunEvent.CANCEL): RunState.CANCELING",
                "(RunState.IN_PROGRESS, RunEvent.CANCEL): RunState.CANCELED",
            ),
            Edit(
                _DISPATCH,
                "elif run.state is RunState.CANCELING:",
                "elif run.state is RunState.CANCELED:",
            ),
        ),
    ),
    Mutation("no kill after the grace", (Edit(_POOL, "        worker.process.kill()\n", ""),)),
    Mutation(
        "answered before the worker is reaped",
        (Edit(_POOL, "exit_code = await self._wait_reaped(worker)", "exit_code = None"),),
    ),
    Mutation(
        "the handle is saved although a cancel came first",
        (Edit(_STORE, "\" AND state = 'in_progress') AND number = ?\"", '") AND number = ?"'),),
    ),
    Mutation(
        "no fence: any attempt may write",
        (
            Edit(
                _MOVES,
                "if stored is None or stored.run.attempt != ref.number:",
                "if stored is None:",
            ),
        ),
    ),
    Mutation(
        "complete wins over an accepted cancel",
        (
            Edit(
                _STATE,
                "    (RunState.CANCELING, RunEvent.FREED): RunState.CANCELED,\n",
                "    (RunState.CANCELING, RunEvent.FREED): RunState.CANCELED,\n"
                "    (RunState.CANCELING, RunEvent.COMPLETE): RunState.COMPLETE,\n",
            ),
        ),
    ),
    Mutation(
        "the file stays after a lost race",
        (Edit(_ATTEMPT, "        await self._discard_file()\n", ""),),
    ),
    Mutation(
        "workers outlive their server",
        (
            Edit(
                "src/queryrun/processes/child_setup.py",
                "    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)\n",
                "",
            ),
            Edit(
                "src/queryrun/worker/control.py",
                "            os.killpg(0, signal.SIGKILL)\n        raise AssertionError",
                "            threading.Event().wait()\n        raise AssertionError",
            ),
        ),
        crashes=True,
    ),
    Mutation(
        "no PDEATHSIG, but the end of the pipe is noticed",
        (
            Edit(
                "src/queryrun/processes/child_setup.py",
                "    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)\n",
                "",
            ),
        ),
        crashes=True,
        harmless="two nets: the control thread kills the process group at the pipe's end",
    ),
    Mutation(
        "queued again without a stop",
        (
            Edit(
                _ATTEMPT,
                "        engine_stop = await self._stop_for_certain(worker)\n",
                "        engine_stop = EngineStop.KILLED\n"
                "        if self._is_told_to_cancel():\n"
                "            engine_stop = await self._stop_for_certain(worker)\n",
            ),
        ),
    ),
    Mutation(
        "the slot is free before the worker is reaped",
        (
            Edit(
                _DISPATCH,
                "            live.stop(run.cancellation.reason, run.cancellation.canceled_by)\n",
                "            live.stop(run.cancellation.reason, run.cancellation.canceled_by)\n"
                "            self._tasks.pop(live.ref, None)\n"
                "            self._wake.set()\n",
            ),
        ),
        classes="ABCDEFG",
    ),
    Mutation(
        "a lapsed lease is settled without a kill",
        (
            Edit(
                _REAP,
                "await self._kill_by_handle(attempt.handle)",
                "EngineStop.KILLED",
            ),
        ),
    ),
    Mutation(
        "a node keeps the leases of attempts it does not live",
        (
            Edit(
                _STORE,
                "            until_ms = self._now_ms() + _ms(lease_s)\n",
                "            until_ms = self._now_ms() + _ms(lease_s)\n"
                '            keep = "UPDATE attempts SET lease_until_ms = ? WHERE node = ?"\n'
                "            connection.execute(keep, (until_ms, node))\n",
            ),
        ),
    ),
    Mutation(
        "a worker that cannot be reaped is believed gone",
        (
            Edit(
                "src/queryrun/runs/proof.py",
                "            except NotReaped:\n",
                "            except NotReaped:\n                return EngineStop.KILLED\n",
            ),
        ),
    ),
    Mutation(
        "the hint of a cancel is lost",
        (
            Edit(
                _DISPATCH,
                "elif run.state is RunState.CANCELING:\n            self._stop_canceled(run)",
                "elif run.state is RunState.CANCELING:\n            return",
            ),
        ),
    ),
    Mutation(
        "spill files stay",
        (
            Edit(
                _POOL,
                "            await asyncio.to_thread(self._spill.remove, directory)\n",
                "            directory.exists()\n",
            ),
        ),
        classes="ABCDEFG",
    ),
    Mutation(
        "a limit stops without saying so",
        (Edit(_ATTEMPT, "            self.stop(StopReason.LIMIT)\n", "            pass\n"),),
    ),
    Mutation(
        "a single interrupt",
        (
            Edit(
                "src/queryrun/worker/control.py",
                "return INTERRUPT_INTERVAL_S if self.interrupted else PROGRESS_INTERVAL_S",
                "return 3600.0 if self.interrupted else PROGRESS_INTERVAL_S",
            ),
        ),
        harmless="the kill after the grace ends whatever an interrupt did not",
    ),
)
