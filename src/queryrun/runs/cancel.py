"""Cancel a run.

`cancel` records the request, or reports that it came too late. The node that holds the attempt
stops the work (`runs/attempt.py`). A notification reaches it at once; if that is lost, its next
lease extension returns the state.
"""

from __future__ import annotations

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.audit.origin import UNKNOWN_ORIGIN, Origin
from queryrun.auth.model import Principal
from queryrun.runs.context import RequestContext
from queryrun.runs.model import IdempotentWrite, Run, StopReason
from queryrun.runs.read import await_end, read_one
from queryrun.runs.store import CancelRequested

WAIT_S = 1.0
"""How long a cancel waits for the confirmed stop before it responds (docs/cancel.md#responses)."""


async def cancel(
    context: RequestContext,
    principal: Principal,
    run_id: str,
    *,
    wait_s: float = WAIT_S,
    idempotent: IdempotentWrite | None = None,
    origin: Origin = UNKNOWN_ORIGIN,
) -> Run:
    """Cancel the run and return it: `canceled` once nothing of it runs.

    A waiting run is `canceled` at once. A running one is `canceling` until its engine's stop is
    confirmed; this waits up to `wait_s` for that (0: not at all) and then returns the run as it
    is. An accepted cancel is final: the run can only become `canceled`. With `idempotent`, the key
    is in flight until the caller completes it; if that never happens, a repeat gets the
    response that `idempotent` renders. The request is in the audit log before it has an effect.

    Raises `NotFound` for a run that does not exist for this principal, and `NotCancellable`
    (with the final state) for a run that has finished; nothing is changed then.
    """
    run = await read_one(context, principal, run_id)
    requested = CancelRequested(_reason(principal, run), canceled_by=principal.client_id)
    entry = AuditEntry(
        AuditEvent.RUN_CANCEL_REQUESTED,
        principal.tenant_id,
        run.request.entity_id,
        principal.client_id,
        run.id,
        origin.remote_address,
        {"reason": requested.reason.value, **origin.detail},
    )
    await context.audit.append(entry)
    run = await context.store.cancel(run.id, requested, idempotent=idempotent)
    context.notifier.publish(run)
    return await await_end(context, run, wait_s)


def _reason(principal: Principal, run: Run) -> StopReason:
    """`user` for a client's own run, `admin` for another client's."""
    is_own = run.request.client_id == principal.client_id
    return StopReason.USER if is_own else StopReason.ADMIN
