"""Authorization: token, rate limit, entity and scope, in that order."""

from __future__ import annotations

from queryrun.auth.clients import principal_of
from queryrun.auth.model import Client, Scope
from queryrun.errors import Forbidden, InvalidRequest, RequestError, Unauthenticated
from queryrun.http.bearer import bearer_client
from queryrun.http.console.cookie import session_token
from queryrun.http.context import AppContext
from queryrun.http.rate_limits import raise_if_exceeded
from queryrun.http.request import ApiRequest


async def authorize(app: AppContext, request: ApiRequest, scope: Scope) -> None:
    """Set the request's principal and quota, or raise: 401, 429, 400 (which entity?), 403.

    Every request of a known client counts against its entity's rate, failed ones included
    (contract D3). Requests without a valid token are counted by address, and cost nobody else.
    """
    try:
        client = await _client(app, request)
    except Unauthenticated as error:
        await app.login_failures.charge(request, reason=str(error))
        raise
    try:
        principal = principal_of(client, *entity_header(request))
    except RequestError:
        await _count(app, request, client.tenant_id, client.entities[0].id)
        raise
    await _count(app, request, client.tenant_id, principal.entity_id)
    if not principal.may(scope):
        raise Forbidden(f"this client was not given the scope '{scope}'")
    request.authorized = principal


async def _count(app: AppContext, request: ApiRequest, tenant_id: str, entity_id: str) -> None:
    """Entities have rates of their own: nobody is refused for what another entity sends."""
    request.quota = await app.limiters.api.take(f"{tenant_id}/{entity_id}")
    raise_if_exceeded(request.quota, "entity")


async def _client(app: AppContext, request: ApiRequest) -> Client:
    """The lookups of strangers wait for each other, so that those of known callers need not."""
    sent = request.raw_header(b"authorization")
    request.authorization = _credentials(app, request)
    if app.callers.find(sent) is not None:
        return await bearer_client(app, request, request.authorization)
    async with app.stranger_lookups:
        client = await bearer_client(app, request, request.authorization)
    if sent is not None:
        app.callers.add(sent)
    return client


def _credentials(app: AppContext, request: ApiRequest) -> str | None:
    """The `Authorization` header; without one, the session of somebody who uses the console."""
    header = request.header(b"authorization")
    if header is not None or not app.settings.serve_console:
        return header
    token = session_token(app, request)
    return None if token is None else f"Bearer {token}"


def entity_header(request: ApiRequest) -> tuple[str | None, str]:
    """The entity that the caller names, and the header: plural or singular (contract C9).

    `InvalidRequest` when the two differ: acting for the wrong entity would be worse.
    """
    plural, singular = request.header(b"zuora-entity-ids"), request.header(b"zuora-entity-id")
    if singular is None:
        return plural, "zuora-entity-ids"
    if plural not in (None, singular):
        message = "'zuora-entity-id' must be what 'zuora-entity-ids' is, when both are sent"
        raise InvalidRequest.of("zuora-entity-id", message)
    return singular, "zuora-entity-id"
