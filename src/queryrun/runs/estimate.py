"""What a run would do, before it is submitted: no run, no slot, nothing stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import StatementEstimate
from queryrun.errors import Failure, FailureCode, InvalidRequest, RunFailed, Unavailable
from queryrun.runs.context import RequestContext
from queryrun.runs.limits import LimitReached, LimitState
from queryrun.runs.model import RunRequest
from queryrun.runs.submit import refused, row_filter
from queryrun.sql.guard.verdict import within
from queryrun.sql.parameters import Parameter


class StatementEstimates(Protocol):
    """Plans statements without stalling the event loop (`services.estimate` implements it)."""

    async def estimate(
        self,
        source: str,
        entity_id: str,
        sql: str,
        row_filter: RowFilter,
        parameters: tuple[Parameter, ...] = (),
    ) -> StatementEstimate | None:
        """What the statement would read; None when the source's engine does not say.

        Raises `RunFailed` as the run would before it reads, and `Unavailable`.
        """
        ...


class NoEstimates:
    """Of a node that plans nothing."""

    async def estimate(self, *_statement: object) -> StatementEstimate | None:
        """Nobody says."""
        return None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What is known of a run that was not submitted. `failure`: how it would fail at once."""

    source: str
    estimate: StatementEstimate | None = None
    failure: Failure | None = None
    refused_by: LimitState | None = None
    """The limit that would refuse it."""


async def dry_run(
    context: RequestContext, estimates: StatementEstimates, request: RunRequest
) -> DryRun:
    """Plan the statement as its run would.

    Raises `InvalidRequest` as `submit` does, for an unknown source and a refused statement, and
    `Unavailable` when no process can plan it or the source is away.
    """
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
    try:
        estimate = await estimates.estimate(
            request.source,
            request.entity_id,
            request.sql,
            row_filter(request, policy),
            request.parameters,
        )
    except RunFailed as failed:
        if failed.failure.code is FailureCode.ENGINE_UNAVAILABLE:
            raise Unavailable(failed.failure.message) from failed
        return DryRun(request.source, failure=failed.failure)
    return DryRun(request.source, estimate, refused_by=await _refusing(context, request, estimate))


async def _refusing(
    context: RequestContext, request: RunRequest, estimate: StatementEstimate | None
) -> LimitState | None:
    """The limit that would refuse the submit now. Nothing is counted."""
    if context.limiter is None:
        return None
    try:
        await context.limiter.check_submit(request, is_counted=False)
    except LimitReached as refused_by:
        return refused_by.state
    return None if estimate is None else await context.limiter.check_estimate(request, estimate)
