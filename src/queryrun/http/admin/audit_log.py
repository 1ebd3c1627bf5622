"""The audit log, for administrators. The whole of it, to verify: `queryrun audit export`."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from queryrun.audit.model import AuditEvent, ChainedEntry
from queryrun.errors import InvalidRequest
from queryrun.http.admin.access import has_all, tenant_of
from queryrun.http.admin.bodies import cursor_of, page_size
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.signed_cursor import write_signed
from queryrun.http.times import iso

MAX_SCANNED = 2000
"""Entries that one request looks at. The log has no index but its order, so that writing is cheap:
a page may have fewer entries than asked for, even none, and a next one nevertheless."""
_TEXTS = ("tenant_id", "entity_id", "client_id", "subject", "remote_address")


async def list_audit(app: AppContext, request: ApiRequest) -> Response:
    """Entries of one tenant, newest first; with `admin:all` those that belong to none, too. On
    PostgreSQL an entry is seen once it is in the chain, about a second after what it is about."""
    required = await _required(app, request)
    size = page_size(request)
    listed = f"audit {sorted(required.items())} {has_all(request.principal)}"
    after = cursor_of(app, request, listed)
    before = None if after is None else int(after)
    scanned = await app.runs.audit.entries_before(before=before, limit=MAX_SCANNED)
    found: list[dict[str, object]] = []
    last = None
    for one in scanned:
        if len(found) == size:
            break
        last = one.position
        if _matches(one, required, with_none=has_all(request.principal)):
            found.append(_entry(one))
    is_end = last is None or (last == scanned[-1].position and len(scanned) < MAX_SCANNED)
    cursor = None if is_end else write_signed(str(last).encode(), listed, app.link_secret)
    return JsonResponse({"next_page": cursor, "data": found})


async def _required(app: AppContext, request: ApiRequest) -> dict[str, str]:
    """What entries must have; the tenant always."""
    required = {}
    for name in ("event", "subject", "client_id", "tenant_id"):
        if (value := request.query_value(name)) is not None:
            required[name] = value
    if required.get("event", AuditEvent.NODE_STARTED) not in set(AuditEvent):
        names = ", ".join(AuditEvent)
        raise InvalidRequest.of("event", f"'event' must be one of {names}")
    required["tenant_id"] = await tenant_of(app, request, required.get("tenant_id"))
    return required


def _matches(entry: ChainedEntry, required: dict[str, str], *, with_none: bool) -> bool:
    fields = entry.fields
    is_none = with_none and fields.get("tenant_id") == ""
    return all(
        fields.get(name) == value or (is_none and name == "tenant_id")
        for name, value in required.items()
    )


def _entry(entry: ChainedEntry) -> dict[str, object]:
    fields = entry.fields
    return {
        "position": entry.position,
        "time": iso(datetime.fromtimestamp(entry.at_ms / 1000, UTC)),
        "event": fields.get("event", ""),
        **{name: fields.get(name, "") for name in _TEXTS},
        "detail": fields.get("detail", {}),
    }
