"""How long an answer waits for a run: what `Prefer` asks for, on both faces."""

from __future__ import annotations

from queryrun.http.call import Call
from queryrun.http.headers import Preference
from queryrun.http.parts import HttpParts
from queryrun.runs.cancel import WAIT_S
from queryrun.runs.model import Run
from queryrun.runs.read import await_end


async def waited(parts: HttpParts, call: Call, run: Run, wish: Preference) -> Run:
    """The run at its end, or after as long as `Prefer: wait` said."""
    if not wish.wait_s or run.state.is_terminal:
        return run
    call.extend_deadline(wish.wait_s)
    return await await_end(parts.runs, run, wish.wait_s)


def cancel_wait_s(call: Call, wish: Preference) -> float:
    """How long a cancel waits for the engine to be free: a second, unless `Prefer` says else."""
    if wish.respond_async:
        return 0.0
    if wish.wait_s is None:
        return WAIT_S
    call.extend_deadline(wish.wait_s)
    return wish.wait_s
