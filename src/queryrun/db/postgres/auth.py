"""AuthStore on PostgreSQL: clients, their entities, and the digests of secrets and tokens.

A token is looked up on the path of every request, so what a look found is believed for
`TOKEN_BELIEVED_S`. A revocation or a change of scopes empties what this node believes, and holds
on every other node after that time at the latest.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

from queryrun.auth.model import Client, Entity, Scope
from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.rows import json_text, words
from queryrun.db.times import from_ms, from_ms_or_none, to_ms, to_ms_or_none
from queryrun.errors import NotFound

TOKEN_BELIEVED_S = 1.0
TOKENS_BELIEVED = 10_000
"""Tokens remembered at once (about a kilobyte each); the one remembered longest goes first."""

_CLIENT = (
    "SELECT c.id, c.tenant_id, c.name, c.scopes, c.created_ms, c.revoked_ms, c.org_ids,"
    " e.id, e.tenant_id, e.name{more} FROM clients c"
    " LEFT JOIN client_entities m ON m.client_id = c.id"
    " LEFT JOIN entities e ON e.id = m.entity_id"
)
_CLIENTS = _CLIENT.format(more="") + " ORDER BY c.seq, m.position"
_CLIENT_BY_ID = _CLIENT.format(more="") + " WHERE c.id = %s ORDER BY m.position"
CLIENT_OF_TOKEN = (
    _CLIENT.format(more=", t.expires_ms") + " JOIN tokens t ON t.client_id = c.id"
    " WHERE t.digest = %s AND c.revoked_ms IS NULL ORDER BY m.position"
)
_ENTITIES = 'SELECT id, tenant_id, name FROM entities ORDER BY name COLLATE "C", id COLLATE "C"'
_ENTITY_BY_NAME = "SELECT id, tenant_id, name FROM entities WHERE tenant_id = %s AND name = %s"
_ADD_TENANT = "INSERT INTO tenants (id, name) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING"
_ADD_ENTITY = (
    "INSERT INTO entities (id, tenant_id, name) VALUES (%s, %s, %s)"
    " ON CONFLICT (tenant_id, name) DO NOTHING"
)
_ADD_CLIENT = (
    "INSERT INTO clients (id, tenant_id, name, scopes, org_ids, created_ms, revoked_ms)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
_ADD_MEMBERS = (
    "INSERT INTO client_entities (client_id, position, entity_id)"
    " SELECT %s, position - 1, entity_id"
    " FROM unnest(%s::text[]) WITH ORDINALITY AS given (entity_id, position)"
)
_INSERT_DIGEST = "INSERT INTO client_secrets (client_id, digest) VALUES (%s, %s)"
_FORGET_DIGESTS = "DELETE FROM client_secrets WHERE client_id = %s AND valid_until_ms IS NOT NULL"
_RETIRE_DIGEST = "UPDATE client_secrets SET valid_until_ms = %s WHERE client_id = %s"
_LOCK_CLIENT = "SELECT 1 FROM clients WHERE id = %s FOR UPDATE"
_DIGESTS = (
    "SELECT s.digest FROM client_secrets s JOIN clients c ON c.id = s.client_id"
    " WHERE s.client_id = %s AND c.revoked_ms IS NULL"
    " AND (s.valid_until_ms IS NULL OR s.valid_until_ms > %s)"
    " ORDER BY s.valid_until_ms IS NOT NULL"
)
_REVOKE = "UPDATE clients SET revoked_ms = coalesce(revoked_ms, %s) WHERE id = %s"
_SET_SCOPES = "UPDATE clients SET scopes = %s WHERE id = %s"
_REMEMBER = "INSERT INTO tokens (digest, client_id, expires_ms) VALUES (%s, %s, %s)"
_EXPIRE_TOKENS = (
    "DELETE FROM tokens WHERE expires_ms <= %s"
    " OR client_id IN (SELECT id FROM clients WHERE revoked_ms IS NOT NULL)"
)


class PostgresAuthStore:
    """AuthStore on PostgreSQL."""

    def __init__(
        self, connections: Connections, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connections = connections
        self._believed = _Believed(monotonic)

    async def add_tenant(self, tenant_id: str, name: str) -> None:
        """Create the tenant if it does not exist yet."""
        await self._change(_ADD_TENANT, tenant_id, name)

    async def add_entity(self, entity: Entity) -> Entity:
        """Create the entity, or return the existing one of the same tenant and name."""

        def unit(connection: Connection) -> Entity:
            connection.execute(_ADD_ENTITY, (entity.id, entity.tenant_id, entity.name))
            key = entity.tenant_id, entity.name
            [row] = connection.execute(_ENTITY_BY_NAME, key).fetchall()
            return Entity(*row)

        return await self._connections.write(unit, durable=True)

    async def entities(self) -> list[Entity]:
        """Every entity, by name."""
        rows = await self._connections.read(lambda db: db.execute(_ENTITIES).fetchall())
        return [Entity(*row) for row in rows]

    async def add_client(self, client: Client, secret_digest: str) -> None:
        """Create the client with its first secret."""

        def unit(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(_ADD_CLIENT, _client_values(client))
                members = [entity.id for entity in client.entities]
                connection.execute(_ADD_MEMBERS, (client.id, members))
                connection.execute(_INSERT_DIGEST, (client.id, secret_digest))

        await self._connections.write(unit, durable=True)

    async def clients(self) -> list[Client]:
        """Every client, newest last, revoked ones included."""
        return _clients(await self._connections.read(lambda db: db.execute(_CLIENTS).fetchall()))

    async def client(self, client_id: str) -> Client | None:
        """The client, revoked or not; None when unknown."""
        rows = await self._connections.read(
            lambda db: db.execute(_CLIENT_BY_ID, (client_id,)).fetchall()
        )
        return next(iter(_clients(rows)), None)

    async def secret_digests(self, client_id: str, now: datetime) -> list[str]:
        """The digests that count at `now`, the current one first; none for a revoked client."""
        values = client_id, to_ms(now)
        rows = await self._connections.read(lambda db: db.execute(_DIGESTS, values).fetchall())
        return [digest for (digest,) in rows]

    async def rotate_secret(
        self, client_id: str, secret_digest: str, *, old_valid_until: datetime
    ) -> None:
        """Set a new secret; `NotFound` when there is no such client."""
        until_ms = to_ms(old_valid_until)

        def unit(connection: Connection) -> None:
            with connection.transaction():
                if connection.execute(_LOCK_CLIENT, (client_id,)).fetchone() is None:
                    raise NotFound("client_id", "there is no such client")
                connection.execute(_FORGET_DIGESTS, (client_id,))
                connection.execute(_RETIRE_DIGEST, (until_ms, client_id))
                connection.execute(_INSERT_DIGEST, (client_id, secret_digest))

        await self._connections.write(unit, durable=True)

    async def revoke_client(self, client_id: str, now: datetime) -> bool:
        """End the client and every token of it at once; False when there is no such client."""
        try:
            return await self._change(_REVOKE, to_ms(now), client_id) == 1
        finally:
            self._believed.forget()

    async def set_scopes(self, client_id: str, scopes: frozenset[Scope]) -> bool:
        """Replace the client's scopes; False when there is no such client."""
        try:
            return await self._change(_SET_SCOPES, json_text(sorted(scopes)), client_id) == 1
        finally:
            self._believed.forget()

    async def add_token(self, token_digest: str, client_id: str, expires: datetime) -> None:
        """Remember a token. May be lost with the machine, not with the process."""
        values = token_digest, client_id, to_ms(expires)
        await self._connections.write(
            lambda db: db.execute(_REMEMBER, values).rowcount, durable=False
        )

    async def client_of_token(self, token_digest: str, now: datetime) -> Client | None:
        """Whose token this is: None when unknown, expired, or its client is revoked."""
        now_ms = to_ms(now)
        believed = self._believed.get(token_digest)
        if believed is None:
            asked = self._believed.now()
            rows = await self._connections.read(
                lambda db: db.execute(CLIENT_OF_TOKEN, (token_digest,)).fetchall()
            )
            if not rows:
                return None
            believed = _clients(rows)[0], rows[0][-1]
            self._believed.put(token_digest, believed, asked)
        client, expires_ms = believed
        return client if expires_ms > now_ms else None

    async def remove_expired_tokens(self, now: datetime) -> int:
        """Forget tokens that no longer count; how many."""
        return await self._change(_EXPIRE_TOKENS, to_ms(now))

    async def _change(self, statement: str, *values: object) -> int:
        """Run one statement durably; the number of rows it touched."""
        return await self._connections.write(
            lambda db: db.execute(statement, values).rowcount, durable=True
        )


class _Believed:
    """What looks at tokens found a moment ago: the client, and when the token expires."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.now = monotonic
        self._found: OrderedDict[str, tuple[float, tuple[Client, int]]] = OrderedDict()
        self._forgot_s = float("-inf")

    def get(self, token_digest: str) -> tuple[Client, int] | None:
        """What was found less than `TOKEN_BELIEVED_S` ago."""
        entry = self._found.get(token_digest)
        if entry is None:
            return None
        asked_s, found = entry
        if self.now() - asked_s < TOKEN_BELIEVED_S:
            return found
        del self._found[token_digest]
        return None

    def put(self, token_digest: str, found: tuple[Client, int], asked_s: float) -> None:
        """Remember what a look that began at `asked_s` found, unless all was forgotten since."""
        if asked_s <= self._forgot_s:
            return
        self._found.pop(token_digest, None)
        self._found[token_digest] = asked_s, found
        if len(self._found) > TOKENS_BELIEVED:
            self._found.popitem(last=False)

    def forget(self) -> None:
        """A client was changed on this node: look at every token anew."""
        self._found.clear()
        self._forgot_s = self.now()


def _client_values(client: Client) -> tuple[object, ...]:
    scopes, org_ids = json_text(sorted(client.scopes)), json_text(client.org_ids)
    times = to_ms(client.created_time), to_ms_or_none(client.revoked_time)
    return client.id, client.tenant_id, client.name, scopes, org_ids, *times


def _clients(rows: Iterable[tuple[Any, ...]]) -> list[Client]:
    """One client from each stretch of rows with the same id: a row per entity."""
    return [_client(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]


def _client(rows: list[tuple[Any, ...]]) -> Client:
    client_id, tenant_id, name, scopes, created_ms, revoked_ms, org_ids = rows[0][:7]
    return Client(
        id=client_id,
        tenant_id=tenant_id,
        name=name,
        entities=tuple(Entity(*row[7:10]) for row in rows if row[7] is not None),
        scopes=frozenset(Scope(word) for word in words(scopes)),
        created_time=from_ms(created_ms),
        revoked_time=from_ms_or_none(revoked_ms),
        org_ids=words(org_ids),
    )
