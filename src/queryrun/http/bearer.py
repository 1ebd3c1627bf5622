"""The client behind a bearer token: ours, or of the issuer that the installation takes."""

from __future__ import annotations

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.auth.model import Client
from queryrun.auth.oidc_rules import is_jwt_shaped
from queryrun.auth.tokens import bearer_of, client_of
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest


async def bearer_client(app: AppContext, request: ApiRequest, authorization: str | None) -> Client:
    """Who this `Authorization` header speaks for. Looked up each time, except that a token of
    another issuer is verified once in half a minute.

    Raises as `auth.tokens.client_of` and `auth.oidc.ExternalLogins.client_of`.
    """
    external = app.external_logins
    if external is None or authorization is None:
        return await client_of(app.auth, authorization, app.now())
    token = bearer_of(authorization)
    if token is None or not is_jwt_shaped(token):
        return await client_of(app.auth, authorization, app.now())

    async def record_login(client: Client) -> None:
        await app.runs.audit.append(_entry(request, client))

    return await external.client_of(token, app.now(), record_login)


def _entry(request: ApiRequest, client: Client) -> AuditEntry:
    return AuditEntry(
        AuditEvent.EXTERNAL_LOGIN,
        client.tenant_id,
        client_id=client.id,
        subject=client.id,
        remote_address=request.client_address,
        detail={
            "login": client.login,
            "entities": [entity.name for entity in client.entities],
            "scopes": sorted(client.scopes),
            "orgs": list(client.org_ids),
            "request_id": request.request_id,
        },
    )
