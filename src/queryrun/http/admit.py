"""Who is calling, and may they: token, rate limit, entity, scope, in that order."""

from __future__ import annotations

from queryrun.auth.clients import principal_of
from queryrun.auth.model import Scope
from queryrun.auth.tokens import client_of
from queryrun.errors import Forbidden, Unauthenticated
from queryrun.http.call import Call
from queryrun.http.headers import entity_header
from queryrun.http.limiters import let_through
from queryrun.http.parts import HttpParts


async def admit(parts: HttpParts, call: Call, scope: Scope) -> None:
    """Set the call's principal and quota, or raise: 401, 429, 400 (which entity?), 403.

    Every call of a known client counts against its tenant's rate, whatever becomes of it
    (contract D3: failed calls count). Calls without a good token count against their address.
    """
    try:
        client = await client_of(parts.auth, call.header(b"authorization"), parts.now())
    except Unauthenticated:
        call.quota = await parts.limiters.auth_address.take(call.address)
        let_through(call.quota, "address")
        raise
    call.quota = await parts.limiters.api.take(client.tenant_id)
    let_through(call.quota, "tenant")
    principal = principal_of(client, *entity_header(call))
    if not principal.may(scope):
        raise Forbidden(f"this client was not given the scope '{scope}'")
    call.principal = principal
