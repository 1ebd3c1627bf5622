"""Ask a run to stop: where is cancel? Here.

This records the wish, and says which of the two it was: done, or too late. The work itself is
stopped by the node that holds the attempt (`runs/attempt.py`), which is told by a hint at once
and, should the hint be lost, by its next lease extension.
"""

from __future__ import annotations

from queryrun.auth.model import Principal
from queryrun.runs.context import RequestContext
from queryrun.runs.model import IdempotentWrite, Run, StopReason
from queryrun.runs.read import await_end, read_one
from queryrun.runs.store import CancelRequested

WAIT_S = 1.0
"""How long a cancel waits for the proof before it responds (docs/cancel.md#responses)."""


async def cancel(
    context: RequestContext,
    principal: Principal,
    run_id: str,
    *,
    wait_s: float = WAIT_S,
    idempotent: IdempotentWrite | None = None,
) -> Run:
    """Cancel the run and return it: `canceled` when nothing of it runs any more.

    A run that was waiting is `canceled` at once. A running one is `canceling` until its
    engine is proven to have let go; this waits up to `wait_s` for that and then returns the
    run as it is (0: answer at once). A cancel that was accepted is final: the run can only
    become `canceled`. With `idempotent`, the key is in flight until the caller finishes it, and its
    rendering of the run is what counts should that never happen.

    Raises `NotFound` for a run that does not exist for this principal, and `NotCancellable`
    (which says how it ended) for one that was not in time; nothing is changed then.
    """
    run = await read_one(context, principal, run_id)
    asked = CancelRequested(_reason(principal, run), canceled_by=principal.client_id)
    run = await context.store.cancel(run.id, asked, idempotent=idempotent)
    context.notifier.publish(run)
    return await await_end(context, run, wait_s)


def _reason(principal: Principal, run: Run) -> StopReason:
    """`admin` when somebody else's run is cancelled, `user` for one's own."""
    mine = run.request.client_id == principal.client_id
    return StopReason.USER if mine else StopReason.ADMIN
