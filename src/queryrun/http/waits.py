"""How long an answer waits for a run: what `Prefer` asks for, on both faces."""

from __future__ import annotations

from queryrun.http.context import AppContext
from queryrun.http.headers import Preference
from queryrun.http.request import ApiRequest
from queryrun.runs.cancel import WAIT_S
from queryrun.runs.model import Run
from queryrun.runs.read import wait_for_end


async def waited(app: AppContext, request: ApiRequest, run: Run, preference: Preference) -> Run:
    """The run at its end, or after as long as `Prefer: wait` said."""
    if not preference.wait_s or run.state.is_terminal:
        return run
    request.extend_deadline(preference.wait_s)
    return await wait_for_end(app.runs, run, preference.wait_s)


def cancel_wait_s(request: ApiRequest, preference: Preference) -> float:
    """How long a cancel waits for the engine to be free: a second, unless `Prefer` says else."""
    if preference.respond_async:
        return 0.0
    if preference.wait_s is None:
        return WAIT_S
    request.extend_deadline(preference.wait_s)
    return preference.wait_s
