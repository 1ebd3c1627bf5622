"""Read one run or many, or wait for one to finish. Decides who may view a run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

from queryrun.auth.model import Principal
from queryrun.errors import NotFound
from queryrun.runs.context import RequestContext
from queryrun.runs.model import AttemptProgress, Run
from queryrun.runs.state import HELD
from queryrun.runs.store import RunPage, RunQuery
from queryrun.runs.usage import UsagePage, UsageQuery, of_own_rows

POLL_S = 0.25
"""Interval between reads of a waiting request without a notification."""

DRAIN_WAIT_S = 1.0
"""How long a request still waits once the node drains: enough to confirm a cancel, and short
enough not to delay the shutdown."""


async def read_one(context: RequestContext, principal: Principal, run_id: str) -> Run:
    """The run, when it exists for this principal.

    Otherwise `NotFound`, which is the same for an unknown id, a malformed id and another
    client's run.
    """
    run = await context.store.get(run_id.lower()) if is_run_id(run_id) else None
    if run is None or not can_view(principal, run):
        raise not_found(run_id)
    return run


async def read_many(context: RequestContext, principal: Principal, query: RunQuery) -> RunPage:
    """One page of the runs that exist for this principal. `query` can only narrow them further.

    A page may have fewer runs than asked for, of a client whose orgs have been changed.
    """
    page = await context.store.find(_restricted(principal, query))
    if not principal.org_ids:
        return page
    return replace(page, runs=tuple(run for run in page.runs if can_view(principal, run)))


async def await_end(context: RequestContext, run: Run, wait_s: float) -> Run:
    """The run as soon as it has finished, or as it is after `wait_s` seconds.

    Checks no access: the caller has read the run with `read_one`. Costs a read when the run ends,
    and one every `POLL_S` in case a notification was lost. Returns after `DRAIN_WAIT_S` at
    the latest when the node begins to drain.
    """
    now_s = asyncio.get_running_loop().time
    deadline_s, is_shortened = now_s() + wait_s, False
    async with context.notifier.watch(run.id) as changed:
        while True:
            changed.clear()
            run = await context.store.get(run.id) or run
            if not is_shortened and not context.accepting():
                deadline_s, is_shortened = min(deadline_s, now_s() + DRAIN_WAIT_S), True
            left_s = deadline_s - now_s()
            if run.state.is_terminal or left_s <= 0:
                return run
            await _set_within(changed, min(left_s, POLL_S))


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    """Return when the event is set, or after `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


async def progress_of(context: RequestContext, run: Run) -> AttemptProgress | None:
    """Progress of the run; None when no attempt holds it, or none has been reported yet.

    Current for a run of this node. For another node's run it is as old as the last extension of
    its lease (a heartbeat, 3 s, at most), and costs one point read.
    """
    local = context.progress(run.id)
    if local is not None or run.state not in HELD:
        return local
    return await context.store.progress(run.id)


def is_run_id(text: str) -> bool:
    """Whether `text` is a lower- or upper-case UUID in its 36-character form (contract A1)."""
    try:
        return len(text) == 36 and str(UUID(text)) == text.lower()
    except ValueError:
        return False


def can_view(principal: Principal, run: Run) -> bool:
    """Whether the run exists for this principal (contract H11): its own in the entity it acts in,
    any of that entity as an admin, any of the tenant as an admin of the tenant. A client of orgs
    sees none that may have read rows of others, such as those from before it was restricted."""
    if run.request.tenant_id != principal.tenant_id or not _within_orgs(principal, run):
        return False
    if principal.is_tenant_admin:
        return True
    is_own = run.request.client_id == principal.client_id
    return run.request.entity_id == principal.entity_id and (is_own or principal.is_admin)


def _within_orgs(principal: Principal, run: Run) -> bool:
    if not principal.org_ids:
        return True
    read = run.request.org_ids
    return bool(read) and set(read) <= set(principal.org_ids)


def not_found(run_id: str) -> NotFound:
    """The error for every run that does not exist for the caller."""
    return NotFound("query_run_id", f"Query run {run_id[:64]!r} could not be found")


async def read_usage(context: RequestContext, principal: Principal, query: UsageQuery) -> UsagePage:
    """One page of what the runs have used that exist for this principal, and of those that have
    been removed since. `query` can only narrow them further. A client of orgs is told no figures
    that rows have a part in which it may not see."""
    query = replace(query, tenant_id=principal.tenant_id)
    if not principal.is_tenant_admin:
        if query.entity_id not in (None, principal.entity_id):
            return UsagePage()
        query = replace(query, entity_id=principal.entity_id)
    if not principal.is_admin:
        if query.client_id not in (None, principal.client_id):
            return UsagePage()
        query = replace(query, client_id=principal.client_id)
    page = await context.usage.report(query)
    if not principal.org_ids:
        return page
    return replace(page, rows=tuple((key, of_own_rows(sums)) for key, sums in page.rows))


def _restricted(principal: Principal, query: RunQuery) -> RunQuery:
    """The query, restricted to what the principal may view."""
    if principal.is_tenant_admin:
        return replace(query, tenant_id=principal.tenant_id)
    if principal.is_admin:
        return replace(query, tenant_id=principal.tenant_id, entity_id=principal.entity_id)
    return replace(
        query,
        tenant_id=principal.tenant_id,
        entity_id=principal.entity_id,
        client_id=principal.client_id,
    )
