"""Logins at another issuer, in `/admin/v1`: ended in a tenant, and allowed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from queryrun.audit.model import AuditEvent
from queryrun.auth.model import RevokedLogin
from queryrun.auth.oidc_rules import MAX_SUBJECT_CHARS
from queryrun.errors import InvalidRequest, NotFound
from queryrun.http.admin import bodies as b
from queryrun.http.admin.access import tenant_of
from queryrun.http.audit import record
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.times import iso
from queryrun.runs.revoke import cancel_runs_of

if TYPE_CHECKING:  # as in `http.context`
    from queryrun.auth.oidc import ExternalLogins


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whose login is meant: the `sub` of its tokens."""

    subject: str
    tenant_id: str | None = None


async def list_logins(app: AppContext, request: ApiRequest) -> Response:
    """Those that were ever revoked in the tenant, by subject."""
    tenant_id = await tenant_of(app, request, request.query_value("tenant_id"))
    found = await app.auth.revoked_logins(tenant_id)
    page, next_page = b.paged(app, request, found, _key, f"logins {tenant_id}")
    return JsonResponse({"next_page": next_page, "data": [_login(one) for one in page]})


async def revoke_login(app: AppContext, request: ApiRequest) -> Response:
    """Take no token of the login in the tenant any more, and cancel its runs. A repeat changes
    nothing, but cancels what was being accepted at that moment."""
    external, meant = await _meant(app, request)
    known = await app.auth.revoked_login(meant.tenant_id, meant.client_id)
    if known is None or known.allowed_time is not None:
        await _record(app, request, AuditEvent.LOGIN_REVOKED, meant)
        await app.auth.revoke_login(meant)
        external.forget()
    for run in await cancel_runs_of(app.runs.store, meant.tenant_id, meant.client_id):
        app.runs.notifier.publish(run)
    return await _response(app, meant)


async def allow_login(app: AppContext, request: ApiRequest) -> Response:
    """Take tokens of the login again that are issued from now on. A repeat changes nothing."""
    external, meant = await _meant(app, request)
    known = await app.auth.revoked_login(meant.tenant_id, meant.client_id)
    if known is None:
        raise NotFound("subject", "this login was never revoked in the tenant")
    if known.allowed_time is None:
        await _record(app, request, AuditEvent.LOGIN_ALLOWED, meant)
        await app.auth.allow_login(meant.tenant_id, meant.client_id, app.now())
        external.forget()
    return await _response(app, meant)


async def _meant(app: AppContext, request: ApiRequest) -> tuple[ExternalLogins, RevokedLogin]:
    """The login that the body names. Whether it was ever here is not known: none is stored."""
    body = await b.body_of(app, request, LoginBody)
    if not 0 < len(body.subject) <= MAX_SUBJECT_CHARS or "\0" in body.subject:
        message = f"'subject' must be the 'sub' of a token, of 1 to {MAX_SUBJECT_CHARS} characters"
        raise InvalidRequest.of("subject", message)
    if app.external_logins is None:
        message = "this installation takes no logins of another issuer ([oidc] in its settings)"
        raise NotFound("subject", message)
    tenant_id = await tenant_of(app, request, body.tenant_id)
    return app.external_logins, app.external_logins.revocation(tenant_id, body.subject, app.now())


async def _record(
    app: AppContext, request: ApiRequest, event: AuditEvent, login: RevokedLogin
) -> None:
    whose, tenant = login.subject, login.tenant_id
    await record(app, request, event, login.client_id, subject_login=whose, tenant=tenant)


async def _response(app: AppContext, meant: RevokedLogin) -> Response:
    known = await app.auth.revoked_login(meant.tenant_id, meant.client_id)
    return JsonResponse(_login(known or meant))


def _key(login: RevokedLogin) -> str:
    return f"{login.subject} {login.client_id}"


def _login(login: RevokedLogin) -> dict[str, object]:
    allowed = login.allowed_time
    return {
        "subject": login.subject,
        "client_id": login.client_id,
        "tenant_id": login.tenant_id,
        "revoked_time": iso(login.revoked_time),
        "allowed_time": None if allowed is None else iso(allowed),
    }
