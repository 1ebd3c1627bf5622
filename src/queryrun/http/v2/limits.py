"""`GET /v2/limits`: every limit of the caller on a source, what is used, and when it begins anew
(an addition of ours)."""

from __future__ import annotations

from starlette.responses import Response

from queryrun.errors import InvalidRequest
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.times import iso
from queryrun.runs.limits import LimitScope, LimitState
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.state import HELD, RunState
from queryrun.runs.store import RunQuery

MAX_COUNTED = 1000
"""Runs that are counted for one figure."""


async def get_limits(app: AppContext, request: ApiRequest) -> Response:
    """The limits that were set, and those of the source, which count for each source by itself."""
    who = request.principal
    source = request.query_value("source") or app.runs.default_source
    policy = app.runs.sources.get(source)
    if policy is None:
        raise InvalidRequest.of("source", f"'source' must be one of {', '.join(app.runs.sources)}")
    scope = LimitScope(who.tenant_id, who.entity_id, who.client_id, source)
    limiter = app.runs.limiter
    states = [] if limiter is None else await limiter.states(scope)
    data = [limit_object(one) for one in states]
    return JsonResponse({"source": source, "data": [*data, *await _of_source(app, scope, policy)]})


def limit_object(state: LimitState) -> dict[str, object]:
    """A limit as callers see it. Ids of others are not in it."""
    limit, kind = state.limit, state.limit.kind
    return _object(
        limit.name,
        limit.level.value,
        kind.unit,
        kind.period.value,
        limit.value,
        state.used,
        None if state.resets is None else iso(state.resets),
    )


def _object(
    name: str,
    level: str,
    unit: str,
    period: str,
    value: float,
    used: int | None = None,
    resets: str | None = None,
) -> dict[str, object]:
    return {
        "name": name,
        "level": level,
        "unit": unit,
        "period": period,
        "limit": value,
        "used": used,
        "left": None if used is None else max(0, value - used),
        "resets_time": resets,
    }


async def _of_source(
    app: AppContext, scope: LimitScope, policy: SourcePolicy
) -> list[dict[str, object]]:
    """The source's own limits. Of a tenant only the limit: who else runs something is not told."""
    waiting, held = frozenset({RunState.ACCEPTED}), frozenset(HELD)
    found = [
        _object("running", "tenant", "runs", "now", policy.running_per_tenant),
        _object(
            "running",
            "entity",
            "runs",
            "now",
            policy.running_per_entity,
            await _count(app, scope, held, None),
        ),
        _object(
            "running",
            "client",
            "runs",
            "now",
            policy.running_per_client,
            await _count(app, scope, held, scope.client_id),
        ),
        _object(
            "queued",
            "entity",
            "runs",
            "now",
            policy.queue.per_entity,
            await _count(app, scope, waiting, None),
        ),
        _object(
            "queued",
            "client",
            "runs",
            "now",
            policy.queue.per_client,
            await _count(app, scope, waiting, scope.client_id),
        ),
        _object("rows", "source", "rows", "statement", policy.max_output_rows),
        _object("result_bytes", "source", "bytes", "statement", policy.max_output_bytes),
        _object("time_s", "source", "s", "statement", policy.time_limit_s),
    ]
    return [one for one in found if one["limit"]]


async def _count(
    app: AppContext, scope: LimitScope, states: frozenset[RunState], client_id: str | None
) -> int:
    query = RunQuery(
        scope.tenant_id,
        scope.entity_id,
        client_id,
        states,
        frozenset({scope.source}),
        limit=MAX_COUNTED,
    )
    return len((await app.runs.store.find(query)).runs)
