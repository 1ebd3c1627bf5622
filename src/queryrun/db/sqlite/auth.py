"""AuthStore on SQLite: clients, their entities, and the digests of secrets and tokens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

from queryrun.auth.model import Client, Entity, Scope
from queryrun.db.rows import json_text, words
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import from_ms, from_ms_or_none, to_ms, to_ms_or_none
from queryrun.errors import NotFound

_CLIENT = (
    "SELECT c.id, c.tenant_id, c.name, c.scopes, c.created_ms, c.revoked_ms, c.org_ids,"
    " e.id, e.tenant_id, e.name FROM clients c"
    " LEFT JOIN client_entities m ON m.client_id = c.id"
    " LEFT JOIN entities e ON e.id = m.entity_id"
)
_CLIENTS = f"{_CLIENT} ORDER BY c.seq, m.position"
_CLIENT_BY_ID = f"{_CLIENT} WHERE c.id = ? ORDER BY m.position"
_CLIENT_OF_TOKEN = (
    f"{_CLIENT} WHERE c.id = (SELECT client_id FROM tokens WHERE digest = ? AND expires_ms > ?)"
    " AND c.revoked_ms IS NULL ORDER BY m.position"
)
_ENTITIES = "SELECT id, tenant_id, name FROM entities ORDER BY name, id"
_ENTITY_BY_NAME = "SELECT id, tenant_id, name FROM entities WHERE tenant_id = ? AND name = ?"
_ADD_TENANT = "INSERT INTO tenants (id, name) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
_ADD_ENTITY = (
    "INSERT INTO entities (id, tenant_id, name) VALUES (?, ?, ?)"
    " ON CONFLICT (tenant_id, name) DO NOTHING"
)
_ADD_CLIENT = (
    "INSERT INTO clients (id, tenant_id, name, scopes, org_ids, created_ms, revoked_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ADD_MEMBER = "INSERT INTO client_entities (client_id, position, entity_id) VALUES (?, ?, ?)"
_INSERT_DIGEST = "INSERT INTO client_secrets (client_id, digest) VALUES (?, ?)"
_FORGET_DIGESTS = "DELETE FROM client_secrets WHERE client_id = ? AND valid_until_ms IS NOT NULL"
_RETIRE_DIGEST = "UPDATE client_secrets SET valid_until_ms = ? WHERE client_id = ?"
_DIGESTS = (
    "SELECT s.digest FROM client_secrets s JOIN clients c ON c.id = s.client_id"
    " WHERE s.client_id = ? AND c.revoked_ms IS NULL"
    " AND (s.valid_until_ms IS NULL OR s.valid_until_ms > ?)"
    " ORDER BY s.valid_until_ms IS NOT NULL"
)
_REVOKE = "UPDATE clients SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?"
_SET_SCOPES = "UPDATE clients SET scopes = ? WHERE id = ?"
_REMEMBER = "INSERT INTO tokens (digest, client_id, expires_ms) VALUES (?, ?, ?)"
_EXPIRE_TOKENS = (
    "DELETE FROM tokens WHERE expires_ms <= ?"
    " OR client_id IN (SELECT id FROM clients WHERE revoked_ms IS NOT NULL)"
)


class SqliteAuthStore:
    """AuthStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def add_tenant(self, tenant_id: str, name: str) -> None:
        """Create the tenant if it does not exist yet."""
        await self._change(_ADD_TENANT, tenant_id, name)

    async def add_entity(self, entity: Entity) -> Entity:
        """Create the entity, or return the existing one of the same tenant and name."""

        def unit(connection: sqlite3.Connection) -> Entity:
            connection.execute(_ADD_ENTITY, (entity.id, entity.tenant_id, entity.name))
            key = entity.tenant_id, entity.name
            return Entity(*connection.execute(_ENTITY_BY_NAME, key).fetchone())

        return await self._writer.write(unit, durable=True)

    async def entities(self) -> list[Entity]:
        """Every entity, by name."""
        rows = self._reader.read(lambda db: db.execute(_ENTITIES).fetchall())
        return [Entity(*row) for row in rows]

    async def add_client(self, client: Client, secret_digest: str) -> None:
        """Create the client with its first secret."""

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(_ADD_CLIENT, _client_values(client))
            members = [(client.id, n, entity.id) for n, entity in enumerate(client.entities)]
            connection.executemany(_ADD_MEMBER, members)
            connection.execute(_INSERT_DIGEST, (client.id, secret_digest))

        await self._writer.write(unit, durable=True)

    async def clients(self) -> list[Client]:
        """Every client, newest last, revoked ones included."""
        return _clients(self._reader.read(lambda db: db.execute(_CLIENTS).fetchall()))

    async def client(self, client_id: str) -> Client | None:
        """The client, revoked or not; None when unknown."""
        return self._one(_CLIENT_BY_ID, client_id)

    async def secret_digests(self, client_id: str, now: datetime) -> list[str]:
        """The digests that count at `now`, the current one first; none for a revoked client."""
        values = client_id, to_ms(now)
        rows = self._reader.read(lambda db: db.execute(_DIGESTS, values).fetchall())
        return [digest for (digest,) in rows]

    async def rotate_secret(
        self, client_id: str, secret_digest: str, *, old_valid_until: datetime
    ) -> None:
        """Set a new secret; `NotFound` when there is no such client."""
        until_ms = to_ms(old_valid_until)

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(_FORGET_DIGESTS, (client_id,))
            if connection.execute(_RETIRE_DIGEST, (until_ms, client_id)).rowcount == 0:
                raise NotFound("client_id", "there is no such client")
            connection.execute(_INSERT_DIGEST, (client_id, secret_digest))

        await self._writer.write(unit, durable=True)

    async def revoke_client(self, client_id: str, now: datetime) -> bool:
        """End the client and every token of it at once; False when there is no such client."""
        return await self._change(_REVOKE, to_ms(now), client_id) == 1

    async def set_scopes(self, client_id: str, scopes: frozenset[Scope]) -> bool:
        """Replace the client's scopes; False when there is no such client."""
        return await self._change(_SET_SCOPES, json_text(sorted(scopes)), client_id) == 1

    async def add_token(self, token_digest: str, client_id: str, expires: datetime) -> None:
        """Remember a token. May be lost with the machine, not with the process."""
        values = token_digest, client_id, to_ms(expires)
        await self._writer.write(lambda db: db.execute(_REMEMBER, values).rowcount, durable=False)

    async def client_of_token(self, token_digest: str, now: datetime) -> Client | None:
        """Whose token this is: None when unknown, expired, or its client is revoked."""
        return self._one(_CLIENT_OF_TOKEN, token_digest, to_ms(now))

    async def remove_expired_tokens(self, now: datetime) -> int:
        """Forget tokens that no longer count; how many."""
        return await self._change(_EXPIRE_TOKENS, to_ms(now))

    async def _change(self, statement: str, *values: object) -> int:
        """Run one statement durably; the number of rows it touched."""
        return await self._writer.write(
            lambda db: db.execute(statement, values).rowcount, durable=True
        )

    def _one(self, statement: str, *values: object) -> Client | None:
        found = _clients(self._reader.read(lambda db: db.execute(statement, values).fetchall()))
        return found[0] if found else None


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
        entities=tuple(Entity(*row[7:]) for row in rows if row[7] is not None),
        scopes=frozenset(Scope(word) for word in words(scopes)),
        created_time=from_ms(created_ms),
        revoked_time=from_ms_or_none(revoked_ms),
        org_ids=words(org_ids),
    )
