"""Clients: create, rotate the secret with a grace period, revoke; and the entity they act in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from queryrun.auth.model import OF_ALL_ROWS, Client, Entity, IssuedSecret, Principal, Scope
from queryrun.auth.secrets import digest, new_client_id, new_secret
from queryrun.auth.store import AuthStore
from queryrun.errors import Forbidden, InvalidRequest, NotFound

DEFAULT_SCOPES = frozenset({Scope.READ, Scope.SUBMIT, Scope.CANCEL})
ROTATION_GRACE_S = 24 * 3600.0
"""How long a rotated secret stays valid by default."""

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """The properties of a new client. All entities must be of the same tenant."""

    name: str
    entities: tuple[Entity, ...]
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    org_ids: tuple[str, ...] = ()
    id: str = ""
    """A UUID of the caller's choice; a new one when empty."""
    expires_time: datetime | None = None


async def create_client(store: AuthStore, options: ClientOptions, now: Now) -> IssuedSecret:
    """Create a client and return its secret, which can't be read again afterwards. `InvalidRequest`
    when a client has the chosen id."""
    tenants = {entity.tenant_id for entity in options.entities}
    if len(tenants) != 1:
        raise InvalidRequest.of("entity", "a client needs entities of exactly one tenant")
    client = Client(
        id=options.id or new_client_id(),
        tenant_id=tenants.pop(),
        name=options.name,
        entities=options.entities,
        scopes=options.scopes,
        created_time=now(),
        org_ids=options.org_ids,
        expires_time=options.expires_time,
    )
    check_orgs(client)
    secret = new_secret()
    if not await store.add_client(client, digest(secret)):
        raise InvalidRequest.of("id", "'id' is taken by another client: choose another")
    return IssuedSecret(client, secret)


def check_orgs(client: Client) -> None:
    """`InvalidRequest` for a client of orgs that could see the results of others."""
    beyond = sorted(client.scopes & OF_ALL_ROWS) if client.org_ids else []
    if beyond:
        raise InvalidRequest.of(
            "scopes",
            f"a client that is restricted to orgs cannot have {', '.join(beyond)}: who has it sees "
            "results of all rows; leave out the orgs, or make another client for it",
        )


async def rotate_secret(
    store: AuthStore, client_id: str, now: Now, *, grace_s: float = ROTATION_GRACE_S
) -> IssuedSecret:
    """Give the client a new secret. The previous one is valid for `grace_s` more seconds; tokens
    already issued are not affected."""
    client = await _live(store, client_id)
    secret = new_secret()
    valid_until = now() + timedelta(seconds=grace_s)
    await store.rotate_secret(client.id, digest(secret), old_valid_until=valid_until)
    return IssuedSecret(client, secret)


async def revoke_client(store: AuthStore, client_id: str, now: Now) -> None:
    """Revoke the client, its secrets and all its tokens, at once. Its runs are canceled by the
    caller (`runs/revoke.py`)."""
    if not await store.revoke_client(client_id, now()):
        raise NotFound("client_id", f"Client {client_id[:64]!r} could not be found")


async def _live(store: AuthStore, client_id: str) -> Client:
    client = await store.client(client_id)
    if client is None or client.revoked_time is not None:
        raise NotFound("client_id", f"Client {client_id[:64]!r} could not be found")
    return client


def principal_of(client: Client, entity_header: str | None, header_name: str) -> Principal:
    """Who the client speaks for: itself, in one of its entities (contract C9).

    A client of orgs is no admin, whatever a login's rules say: the results of others may hold rows
    that it may not see. A client of a single entity need not name it. `InvalidRequest` when it
    must be named and is not, or is no id; `Forbidden` when it is not one of the client's.
    """
    entity = _entity(client, entity_header, header_name)
    scopes = client.scopes
    if client.org_ids and scopes & OF_ALL_ROWS:
        scopes = (DEFAULT_SCOPES if Scope.ADMIN in scopes else scopes) - OF_ALL_ROWS
    return Principal(client.tenant_id, client.id, entity.id, scopes, client.org_ids, client.login)


def _entity(client: Client, requested: str | None, header_name: str) -> Entity:
    """A client of several entities must name one: a guess could read the wrong entity's data."""
    if requested is None:
        if len(client.entities) == 1:
            return client.entities[0]
        raise InvalidRequest.of(
            header_name, f"'{header_name}' is required: this client acts for several entities"
        )
    requested_id = _entity_id(requested, header_name)
    for entity in client.entities:
        if entity.id.lower() == requested_id:
            return entity
    raise Forbidden("this client may not act for the entity it named")


ENTITY_ID = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""A UUID with its hyphens, or without any (contract C9)."""


def _entity_id(text: str, header_name: str) -> str:
    """The id in its 36-character form, lower case."""
    if ENTITY_ID.fullmatch(text) is None:
        raise InvalidRequest.of(header_name, f"'{header_name}' must be one entity id (a UUID)")
    return str(UUID(text))
