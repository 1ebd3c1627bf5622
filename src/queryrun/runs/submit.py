"""Accept a run, once per idempotency key."""

from __future__ import annotations

from dataclasses import asdict, replace
from hashlib import sha256
from uuid import uuid4

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.audit.origin import UNKNOWN_ORIGIN, Origin
from queryrun.engines.base import RowFilter
from queryrun.errors import InvalidRequest, Problem, QueueFull, RunFailed, Unavailable
from queryrun.runs.context import RequestContext
from queryrun.runs.limiter import Limiter
from queryrun.runs.limits import Level, LimitReached, LimitState, LimitValue
from queryrun.runs.model import IdempotentWrite, RunRequest
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.store import Accepted, QueueLimits
from queryrun.sql.guard.verdict import Refusal, Verdict, within


async def submit(
    context: RequestContext,
    request: RunRequest,
    *,
    idempotent: IdempotentWrite | None = None,
    run_id: str | None = None,
    origin: Origin = UNKNOWN_ORIGIN,
) -> Accepted:
    """Accept the request as a new run, durably, and return it in state `accepted`.

    Nothing has started when this returns. With `idempotent`, a repeat returns the first run and its
    stored response instead. The audit log has an entry for each accepted run, written with it, that
    says where it came from (`origin`). `run_id` is for callers that need to know the id beforehand.

    Raises `InvalidRequest` for an unknown source and for a statement that the guard refuses,
    `QueueFull` when too many of the entity's runs wait, `Unavailable` while the node drains, and
    the idempotency errors. Nothing is written then.
    """
    if not context.accepting():
        raise Unavailable("this node is shutting down; try again")
    policy = context.sources.get(request.source)
    if policy is None:
        raise InvalidRequest.of("source", f"'source' must be one of {', '.join(context.sources)}")
    verdict = within(
        await context.guard.check(
            request.sql, policy.dialect, request.entity_id, request.parameters
        ),
        context.statements,
    )
    if not verdict.accepted:
        raise refused(verdict)
    if context.quotas is not None:
        await context.quotas.check_statement(request)
    queue = policy.queue
    limiter = context.limiter
    run_id = run_id or str(uuid4())
    try:
        if limiter is not None and await limiter.values(request):  # most often nobody has set any
            await limiter.check_submit(request)
            queue = await limiter.queue_limits(request, queue)
            await _check_reads(context, limiter, request, policy)
        accepted = await context.store.accept(
            _within_limits(request, policy),
            run_id=run_id,
            queue_limits=queue,
            idempotent=idempotent,
            audit=_entry(context, request, run_id, origin),
        )
    except (LimitReached, QueueFull) as refusal:
        if context.announce_limit is not None:
            state = refusal.state if isinstance(refusal, LimitReached) else _queue(request, queue)
            await context.announce_limit(request, state, str(refusal))
        raise
    context.notifier.publish(accepted.run)
    return accepted


def _queue(request: RunRequest, limits: QueueLimits) -> LimitState:
    """The limit of a queue that is full: the first that the refusal names. The store does not say
    which of two it was."""
    owners = (
        (Level.CLIENT, request.client_id, limits.per_client),
        (Level.ENTITY, request.entity_id, limits.per_entity),
        (Level.TENANT, request.tenant_id, limits.per_tenant),
    )
    found = min((one for one in owners[:2] if one[2]), key=lambda one: one[2], default=owners[2])
    return LimitState(LimitValue(found[0], found[1], "queued", found[2]))


async def _check_reads(
    context: RequestContext, limiter: Limiter, request: RunRequest, policy: SourcePolicy
) -> None:
    """Refuse a statement that would surely read more than it may. What cannot be estimated is left
    to the caps of its attempts."""
    if context.estimate is None or not await limiter.counts_reads(request):
        return
    rows = row_filter(request, policy)
    try:
        estimate = await context.estimate(
            request.source, request.entity_id, request.sql, rows, request.parameters
        )
    except (RunFailed, Unavailable):
        return
    if estimate is None:
        return
    state = await limiter.check_estimate(request, estimate)
    if state is not None:
        would = f"the statement would read {estimate.read_bytes} bytes: {state.sentence()}"
        raise LimitReached(state, context.now(), would)


def row_filter(request: RunRequest, policy: SourcePolicy) -> RowFilter:
    """Which rows the run would see."""
    return RowFilter(
        request.deleted_rows.value, policy.org_column, request.org_ids, policy.marks_deleted
    )


def _entry(context: RequestContext, request: RunRequest, run_id: str, origin: Origin) -> AuditEntry:
    """The statement's fingerprint is its SHA-256; its text is recorded only when switched on."""
    detail: dict[str, object] = {
        "fingerprint": sha256(request.sql.encode()).hexdigest(),
        "source": request.source,
        **origin.detail,
    }
    if context.audit_statements:
        detail["sql"] = request.sql
        if request.parameters:
            detail["parameters"] = [asdict(one) for one in request.parameters]
    return AuditEntry(
        AuditEvent.RUN_SUBMITTED,
        request.tenant_id,
        request.entity_id,
        request.client_id,
        run_id,
        origin.remote_address,
        detail,
    )


def refused(verdict: Verdict) -> InvalidRequest:
    """The guard's refusal in the contract's form: `invalid_parameter`, parameter `sql`; or
    `parameters`, where they do not fit the statement."""
    position = f" (line {verdict.line}, column {verdict.column})" if verdict.line else ""
    named = "parameters" if verdict.refusal is Refusal.BAD_PARAMETERS else "sql"
    return InvalidRequest(Problem("invalid_parameter", named, verdict.message + position))


def _within_limits(request: RunRequest, policy: SourcePolicy) -> RunRequest:
    """The request with the source's retries, and its time limit lowered to the source's."""
    timeout_s = request.timeout_s and min(request.timeout_s, policy.time_limit_s)
    if (timeout_s, policy.max_retries) == (request.timeout_s, request.max_retries):
        return request  # the usual case; copying takes 3 µs of every submit
    return replace(request, timeout_s=timeout_s, max_retries=policy.max_retries)
