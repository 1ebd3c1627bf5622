"""Whom a client of `/admin/v1` may administer."""

from __future__ import annotations

from queryrun.auth.model import Client, Entity, Principal, Scope
from queryrun.errors import Forbidden, NotFound
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest


def has_all(principal: Principal) -> bool:
    """Whether it administers every tenant."""
    return principal.may(Scope.ADMIN_ALL)


async def tenant_of(app: AppContext, request: ApiRequest, named: str | None) -> str:
    """The tenant that the request is about: the one it names, or its own.

    `Forbidden` for another than its own without `admin:all`, whether that tenant exists or not.
    With it, `NotFound` for one that does not exist: an empty list would be a wrong answer.
    """
    own = request.principal.tenant_id
    if named in (None, "", own):
        return own
    if not has_all(request.principal):
        raise Forbidden("this client administers its own tenant; others need the scope 'admin:all'")
    if named not in {one.id for one in await app.auth.tenants()}:
        raise NotFound("tenant_id", f"there is no tenant {str(named)[:64]!r}")
    return str(named)


async def client_for(app: AppContext, request: ApiRequest) -> Client:
    """The client in the path. One that it may not see does not exist."""
    client_id = request.path_params["client_id"]
    client = await app.auth.client(client_id.lower())
    if client is None or not _is_own(request.principal, client.tenant_id):
        raise NotFound("client_id", f"Client {client_id[:64]!r} could not be found")
    return client


async def changeable_client(app: AppContext, request: ApiRequest) -> Client:
    """The same, to change it: who may not give `admin:all` may not take over who has it."""
    client = await client_for(app, request)
    if Scope.ADMIN_ALL in client.scopes and not has_all(request.principal):
        raise Forbidden(
            "a client with the scope 'admin:all' is administered by another such client"
        )
    return client


async def entities_of(app: AppContext, tenant_id: str) -> list[Entity]:
    """The tenant's entities, by name."""
    return [one for one in await app.auth.entities() if one.tenant_id == tenant_id]


def _is_own(principal: Principal, tenant_id: str) -> bool:
    return has_all(principal) or tenant_id == principal.tenant_id
