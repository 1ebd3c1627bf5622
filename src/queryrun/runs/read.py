"""Read one run, many runs, or wait for one to end."""

from __future__ import annotations

import asyncio
from uuid import UUID

from queryrun.auth.model import Principal
from queryrun.errors import NotFound
from queryrun.runs.context import RequestContext
from queryrun.runs.model import AttemptProgress, Run
from queryrun.runs.state import HELD
from queryrun.runs.store import RunPage, RunQuery

POLL_S = 0.25
"""How long a wait trusts hints alone; then it reads the store (another node may have acted)."""

DRAIN_WAIT_S = 1.0
"""How long a wait goes on once the node drains: enough for a cancel to be proven, and no request
then holds up the node's end."""


async def read_one(context: RequestContext, principal: Principal, run_id: str) -> Run:
    """The run, when it exists for this principal; `NotFound` otherwise, with no difference
    between an unknown id, a malformed one and someone else's run."""
    run = await context.store.get(run_id) if is_run_id(run_id) else None
    if run is None or not can_view(principal, run):
        raise not_found(run_id)
    return run


async def read_many(context: RequestContext, principal: Principal, query: RunQuery) -> RunPage:
    """One page of the runs that exist for this principal; `query` can narrow that, never widen."""
    return await context.store.find(_within_sight(principal, query))


async def wait_for_end(
    context: RequestContext, principal: Principal, run_id: str, wait_s: float
) -> Run:
    """The run as soon as it has ended, or as it is after `wait_s` seconds.

    Costs one read per change of the run, and one every `POLL_S` in case a hint was lost. Ends
    after `DRAIN_WAIT_S` at the latest when the node begins to drain.
    """
    run = await read_one(context, principal, run_id)
    return await await_end(context, run, wait_s)


async def await_end(context: RequestContext, run: Run, wait_s: float) -> Run:
    """Like `wait_for_end`, for a run that the caller may already see."""
    now_s = asyncio.get_running_loop().time
    deadline_s, is_hurried = now_s() + wait_s, False
    async with context.notifier.watch(run.id) as changed:
        while True:
            changed.clear()
            run = await context.store.get(run.id) or run
            if not is_hurried and not context.accepting():
                deadline_s, is_hurried = min(deadline_s, now_s() + DRAIN_WAIT_S), True
            left_s = deadline_s - now_s()
            if run.state.is_terminal or left_s <= 0:
                return run
            await _either(changed, min(left_s, POLL_S))


async def _either(changed: asyncio.Event, timeout_s: float) -> None:
    """Return when the event is set or the time is over, whichever comes first."""
    try:
        async with asyncio.timeout(timeout_s):
            await changed.wait()
    except TimeoutError:
        return


async def progress_of(context: RequestContext, run: Run) -> AttemptProgress | None:
    """How far the run is; None when nobody works on it, or has not said anything yet.

    Of a run of this node, as it is now. Of another node's, as it was when that node last extended
    its lease, a heartbeat (3 s) ago at most; that costs one point read.
    """
    here = context.progress(run.id)
    if here is not None or run.state not in HELD:
        return here
    return await context.store.progress(run.id)


def is_run_id(text: str) -> bool:
    """Whether `text` is a lower- or upper-case UUID in its 36-character form (contract A1)."""
    try:
        return len(text) == 36 and str(UUID(text)) == text.lower()
    except ValueError:
        return False


def can_view(principal: Principal, run: Run) -> bool:
    """Whether the run exists for this principal (contract H11): its own, or any as an admin."""
    if run.request.tenant_id != principal.tenant_id:
        return False
    if principal.is_admin:
        return True
    is_own = run.request.client_id == principal.client_id
    return is_own and run.request.entity_id == principal.entity_id


def not_found(run_id: str) -> NotFound:
    """The one answer for a run that does not exist for the caller."""
    return NotFound("query_run_id", f"Query run {run_id[:64]!r} could not be found")


def _within_sight(principal: Principal, query: RunQuery) -> RunQuery:
    """The query held inside what the principal may see."""
    from dataclasses import replace

    if principal.is_admin:
        return replace(query, tenant_id=principal.tenant_id)
    return replace(
        query,
        tenant_id=principal.tenant_id,
        entity_id=principal.entity_id,
        client_id=principal.client_id,
    )
