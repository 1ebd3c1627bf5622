"""`GET /v2/limits`: every limit of the caller on a source, what is used, and when it begins anew
(an addition of ours)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from queryrun.errors import InvalidRequest
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.times import iso
from queryrun.runs.limiter import smaller
from queryrun.runs.limits import Level, LimitScope, LimitState, LimitValue, visible_to
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
    scope = LimitScope(who.tenant_id, who.entity_id, who.client_id, source, who.org_ids)
    limiter = app.runs.limiter
    states = [] if limiter is None else await limiter.states(scope)
    visible = [
        visible_to(scope, one) for one in states if one.limit.name not in ("running", "queued")
    ]
    data = [limit_object(one) for one in visible]
    of_source = await _of_source(app, scope, policy, states)
    return JsonResponse({"source": source, "data": [*data, *of_source]})


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
    app: AppContext, scope: LimitScope, policy: SourcePolicy, states: Sequence[LimitState]
) -> list[dict[str, object]]:
    """The source's own limits; how many may run and wait is the smaller of its own and of those
    that were set. Of a tenant only the limit: who else runs something is not told, and to a client
    of orgs not of its entity either."""
    running, queue = _tightest(states, "running"), _tightest(states, "queued")
    held, waiting = frozenset(HELD), frozenset({RunState.ACCEPTED})
    own = scope.client_id

    def of_entity(states: frozenset[RunState]) -> tuple[frozenset[RunState], None] | None:
        return None if scope.org_ids else (states, None)

    counted = (
        ("running", "tenant", policy.running_per_tenant, running, None),
        ("running", "entity", policy.running_per_entity, running, of_entity(held)),
        ("running", "client", policy.running_per_client, running, (held, own)),
        ("queued", "tenant", policy.queue.per_tenant, queue, None),
        ("queued", "entity", policy.queue.per_entity, queue, of_entity(waiting)),
        ("queued", "client", policy.queue.per_client, queue, (waiting, own)),
    )
    found = []
    for name, level, given, set_limits, count in counted:
        value = smaller(given, set_limits.get(level))
        used = await _count(app, scope, *count) if count and value else None
        found.append(_object(name, level, "runs", "now", value, used))
    found += [
        _object("rows", "source", "rows", "statement", policy.max_output_rows),
        _object("result_bytes", "source", "bytes", "statement", policy.max_output_bytes),
        _object("time_s", "source", "s", "statement", policy.time_limit_s),
    ]
    return [one for one in found if one["limit"]]


def _tightest(states: Sequence[LimitState], name: str) -> dict[str, LimitValue]:
    """Of each level, the smallest limit that was set; a source's is of each tenant."""
    found: dict[str, LimitValue] = {}
    for limit in (one.limit for one in states if one.limit.name == name):
        level = "tenant" if limit.level is Level.SOURCE else limit.level.value
        if level not in found or limit.value < found[level].value:
            found[level] = limit
    return found


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
