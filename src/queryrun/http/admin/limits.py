"""`/admin/v1/limits`: limits of tenants, entities, clients and sources."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from queryrun.audit.model import AuditEvent
from queryrun.errors import Forbidden, InvalidRequest, NotFound
from queryrun.http.admin import bodies as b
from queryrun.http.admin.access import entities_of, has_all, tenant_of
from queryrun.http.audit import record
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.runs.limits import LIMITS, MAX_VALUE, Level, LimitKind, LimitValue


class LimitBody(msgspec.Struct, forbid_unknown_fields=True):
    """A limit to set; without a value it is removed."""

    level: Level
    subject: str
    name: str
    value: int | float | None = None
    """A whole number: JSON writes some of them with a point or an exponent."""


async def list_limits(app: AppContext, request: ApiRequest) -> Response:
    """Those that were set over HTTP, of the tenant, its entities and its clients; with `admin:all`
    those of sources too."""
    tenant_id = await tenant_of(app, request, request.query_value("tenant_id"))
    own = await _subjects(app, tenant_id)
    found = [
        one
        for one in await app.limits.limits()
        if (one.level, one.subject) in own
        or (one.level is Level.SOURCE and has_all(request.principal))
    ]
    page, next_page = b.paged(app, request, found, _key, f"limits {tenant_id}")
    return JsonResponse({"next_page": next_page, "data": [_limit(one) for one in page]})


async def set_limit(app: AppContext, request: ApiRequest) -> Response:
    """Set or remove one. It holds on every node within a second. A repeat changes nothing.

    A tenant's limits and a source's are set with `admin:all` alone: nobody raises their own.
    """
    body = await b.body_of(app, request, LimitBody)
    kind = LIMITS.get(body.name)
    if kind is None or body.level not in kind.levels:
        names = ", ".join(one.name for one in LIMITS.values() if body.level in one.levels)
        raise InvalidRequest.of(
            "name", f"'name' of a limit of level {body.level} must be one of {names}"
        )
    value = _whole(body.value, kind)
    if body.level in (Level.ENTITY, Level.CLIENT):
        body.subject = body.subject.lower()  # ids, as they are stored
    await _check_subject(app, request, body)
    await record(
        app,
        request,
        AuditEvent.LIMIT_CHANGED,
        body.subject,
        level=body.level.value,
        name=body.name,
        value=value,
    )
    await app.limits.set_limit(body.level, body.subject, body.name, value)
    if app.runs.limiter is not None:
        app.runs.limiter.forget()
    return JsonResponse(
        {
            "level": body.level.value,
            "subject": body.subject,
            "name": body.name,
            "unit": kind.unit,
            "period": kind.period.value,
            "value": value,
        }
    )


def _whole(value: float | None, kind: LimitKind) -> int | None:
    if value is None:
        return None
    if not kind.min_value <= value <= MAX_VALUE or value != int(value):
        message = f"'value' must be a whole number from {kind.min_value} to {MAX_VALUE}, or null"
        raise InvalidRequest.of("value", message)
    return int(value)


async def _check_subject(app: AppContext, request: ApiRequest, body: LimitBody) -> None:
    if body.level in (Level.TENANT, Level.SOURCE):
        if not has_all(request.principal):
            raise Forbidden(f"limits of a {body.level} are set with the scope 'admin:all'")
        known = (
            body.subject in app.runs.sources
            if body.level is Level.SOURCE
            else body.subject in {one.id for one in await app.auth.tenants()}
        )
        if not known:
            raise NotFound("subject", f"there is no {body.level} {body.subject[:64]!r}")
        return
    tenants = (
        [one.id for one in await app.auth.tenants()]
        if has_all(request.principal)
        else [request.principal.tenant_id]
    )
    for tenant_id in tenants:
        if (body.level, body.subject) in await _subjects(app, tenant_id):
            return
    raise NotFound("subject", f"there is no {body.level} {body.subject[:64]!r}")


async def _subjects(app: AppContext, tenant_id: str) -> set[tuple[Level, str]]:
    """Whose limits belong to a tenant."""
    entities = {(Level.ENTITY, one.id) for one in await entities_of(app, tenant_id)}
    clients = {
        (Level.CLIENT, one.id) for one in await app.auth.clients() if one.tenant_id == tenant_id
    }
    return {(Level.TENANT, tenant_id), *entities, *clients}


def _key(one: LimitValue) -> str:
    return f"{one.level} {one.subject} {one.name}"


def _limit(one: LimitValue) -> dict[str, object]:
    return {
        "level": one.level.value,
        "subject": one.subject,
        "name": one.name,
        "unit": one.kind.unit,
        "period": one.kind.period.value,
        "value": one.value,
    }
