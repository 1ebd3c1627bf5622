"""Who is calling, and may they: token, rate limit, entity, scope, in that order."""

from __future__ import annotations

from queryrun.auth.clients import principal_of
from queryrun.auth.model import Scope
from queryrun.auth.tokens import client_of
from queryrun.errors import Forbidden, Unauthenticated
from queryrun.http.context import AppContext
from queryrun.http.headers import entity_header
from queryrun.http.limiters import let_through
from queryrun.http.request import ApiRequest


async def admit(app: AppContext, request: ApiRequest, scope: Scope) -> None:
    """Set the call's principal and quota, or raise: 401, 429, 400 (which entity?), 403.

    Every call of a known client counts against its tenant's rate; failed calls count too
    (contract D3). Calls without a good token count against their address.
    """
    try:
        client = await client_of(app.auth, request.header(b"authorization"), app.now())
    except Unauthenticated:
        request.quota = await app.limiters.auth_address.take(request.address)
        let_through(request.quota, "address")
        raise
    request.quota = await app.limiters.api.take(client.tenant_id)
    let_through(request.quota, "tenant")
    principal = principal_of(client, *entity_header(request))
    if not principal.may(scope):
        raise Forbidden(f"this client was not given the scope '{scope}'")
    request.principal = principal
