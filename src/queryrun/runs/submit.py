"""Accept a run, once per idempotency key."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from queryrun.errors import InvalidRequest, Problem, Unavailable
from queryrun.runs.context import RequestContext
from queryrun.runs.model import IdempotentWrite, RunRequest
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.store import Accepted
from queryrun.sql.guard import Verdict, within


async def submit(
    context: RequestContext,
    request: RunRequest,
    *,
    idempotent: IdempotentWrite | None = None,
    run_id: str | None = None,
) -> Accepted:
    """Accept the request as a new run, durably, and return it in state `accepted`.

    Nothing has started when this returns. With `idempotent`, a repeat returns the first run and its
    stored answer instead. `run_id` is for callers that had to name the run beforehand.

    Raises `InvalidRequest` for a statement that the guard refuses or an unknown source,
    `QueueFull` when too many of the tenant's runs wait, `Unavailable` while draining, and the
    idempotency errors. Nothing is written in any of these cases.
    """
    if not context.accepting():
        raise Unavailable("this node is shutting down; try again")
    rules = context.sources.get(request.source)
    if rules is None:
        raise InvalidRequest.of("source", f"'source' must be one of {', '.join(context.sources)}")
    verdict = within(await context.guard.check(request.sql, rules.dialect), context.statements)
    if not verdict.accepted:
        raise refused(verdict)
    accepted = await context.store.accept(
        _within_limits(request, rules),
        run_id=run_id or str(uuid4()),
        queue_limit=rules.max_queued_per_tenant,
        idempotent=idempotent,
    )
    context.notifier.publish(accepted.run)
    return accepted


def refused(verdict: Verdict) -> InvalidRequest:
    """The guard's refusal as the contract shows it: `invalid_parameter`, parameter `sql`."""
    place = f" (line {verdict.line}, column {verdict.column})" if verdict.line else ""
    return InvalidRequest(Problem("invalid_parameter", "sql", verdict.message + place))


def _within_limits(request: RunRequest, rules: SourcePolicy) -> RunRequest:
    """The request with the source's retries, and its time limit lowered to the source's."""
    timeout_s = request.timeout_s and min(request.timeout_s, rules.time_limit_s)
    return replace(request, timeout_s=timeout_s, max_retries=rules.max_retries)
