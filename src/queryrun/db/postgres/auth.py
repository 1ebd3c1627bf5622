"""AuthStore on PostgreSQL: clients, their entities, and the digests of secrets and tokens.

A token is looked up on the path of every request, so a read is cached for `TOKEN_CACHE_S`. A
revocation or a change of scopes clears this node's cache, and takes effect on every other node
after at most that time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from queryrun.auth.model import Client, Entity, RevokedLogin, Tenant
from queryrun.auth.store import MAX_ROTATED
from queryrun.db.auth_rows import (
    changed_client_values,
    client_values,
    clients_of,
    entity_values,
    login_of,
    login_values,
)
from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.rows import Row, Values
from queryrun.db.times import to_ms, to_ms_or_none
from queryrun.errors import NotFound

TOKEN_CACHE_S = 1.0
MAX_CACHED_TOKENS = 10_000
"""About a kilobyte each; the oldest goes first."""

TokenEntry = tuple[Client, int]
"""A token's client, and when the token expires, in milliseconds since 1970."""


class PostgresAuthStore:
    """AuthStore on PostgreSQL."""

    def __init__(
        self, connections: Connections, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connections = connections
        self._sql = connections.sql
        self._tokens = _TokenCache(monotonic)

    async def add_tenant(self, tenant_id: str, name: str) -> None:
        """Create the tenant if it does not exist yet."""
        await self._change("add_tenant", {"id": tenant_id, "name": name})

    async def tenants(self) -> list[Tenant]:
        """Every tenant, by name."""
        rows = await self._connections.read(lambda db: db.execute(self._sql["tenants"]).fetchall())
        return [Tenant(*row) for row in rows]

    async def add_entity(self, entity: Entity) -> Entity:
        """Create the entity, or return the one that has its name already."""

        def unit(connection: Connection) -> Entity:
            values = entity_values(entity)
            connection.execute(self._sql["add_entity"], values)
            [row] = connection.execute(self._sql["entity_by_name"], values).fetchall()
            return Entity(*row)

        return await self._connections.write(unit, durable=True)

    async def entities(self) -> list[Entity]:
        """Every entity, by name."""
        rows = await self._connections.read(lambda db: db.execute(self._sql["entities"]).fetchall())
        return [Entity(*row) for row in rows]

    async def add_client(self, client: Client, secret_digest: str) -> bool:
        """Create the client with its first secret; False when there is one with this id."""
        entity_ids = [entity.id for entity in client.entities]
        values = {"client_id": client.id, "entity_ids": entity_ids, "digest": secret_digest}

        def unit(connection: Connection) -> bool:
            with connection.transaction():
                added = connection.execute(self._sql["add_client"], client_values(client))
                if added.rowcount == 0:
                    return False
                connection.execute(self._sql["add_client_entities"], values)
                connection.execute(self._sql["add_secret"], values)
                return True

        return await self._connections.write(unit, durable=True)

    async def change_client(self, client: Client, *, before: Client) -> bool:
        """Write its scopes, orgs and expiry, unless somebody else was first."""
        changed = await self._change("change_client", changed_client_values(client, before))
        self._tokens.clear()
        return changed == 1

    async def clients(self) -> list[Client]:
        """Every client, newest last, revoked ones included."""
        rows = await self._connections.read(lambda db: db.execute(self._sql["clients"]).fetchall())
        return clients_of(rows)

    async def client(self, client_id: str) -> Client | None:
        """The client, revoked or not; None when unknown."""
        values = {"client_id": client_id}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["client_by_id"], values).fetchall()
        )
        return next(iter(clients_of(rows)), None)

    async def secret_digests(self, client_id: str, now: datetime) -> list[str]:
        """The digests valid at `now`, the current one first; none for a revoked client."""
        values = {"client_id": client_id, "now_ms": to_ms(now)}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["secret_digests"], values).fetchall()
        )
        return [digest for (digest,) in rows]

    async def rotate_secret(
        self, client_id: str, secret_digest: str, *, old_valid_until: datetime
    ) -> None:
        """Set a new secret; `NotFound` when there is no such client."""
        values = {
            "client_id": client_id,
            "digest": secret_digest,
            "valid_until_ms": to_ms(old_valid_until),
            "max_rotated": MAX_ROTATED,
        }

        def unit(connection: Connection) -> None:
            with connection.transaction():
                if connection.execute(self._sql["lock_client"], values).fetchone() is None:
                    raise NotFound("client_id", "there is no such client")
                connection.execute(self._sql["remove_old_secrets"], values)
                connection.execute(self._sql["expire_secrets"], values)
                connection.execute(self._sql["add_secret"], values)

        await self._connections.write(unit, durable=True)

    async def revoke_client(self, client_id: str, now: datetime) -> bool:
        """Revoke the client and all its tokens at once; False when there is no such client."""
        try:
            values = {"now_ms": to_ms(now), "client_id": client_id}
            return await self._change("revoke_client", values) == 1
        finally:
            self._tokens.clear()

    async def add_token(
        self,
        token_digest: str,
        client_id: str,
        expires: datetime,
        *,
        session_until: datetime | None = None,
    ) -> None:
        """Store a token. A power cut may lose it, a killed process does not."""
        values = {
            "digest": token_digest,
            "client_id": client_id,
            "expires_ms": to_ms(expires),
            "session_until_ms": to_ms_or_none(session_until),
        }
        await self._connections.write(
            lambda db: db.execute(self._sql["add_token"], values).rowcount, durable=False
        )

    async def extend_session(self, token_digest: str, expires: datetime, now: datetime) -> bool:
        """Move the end of a valid session's token; False when there is no such session."""
        values = {
            "digest": token_digest,
            "expires_ms": to_ms(expires),
            "now_ms": to_ms(now),
        }
        try:
            return await self._change("extend_session", values) == 1
        finally:
            self._tokens.clear()

    async def revoke_token(self, token_digest: str, client_id: str) -> bool:
        """Revoke one token; False when this client has no such token."""
        try:
            values = {"digest": token_digest, "client_id": client_id}
            return await self._change("revoke_token", values) == 1
        finally:
            self._tokens.clear()

    async def revoked_since(self, since: datetime, now: datetime) -> list[tuple[str, str]]:
        """Clients and logins that ended in that time, with their tenants."""
        rows = await self._rows("revoked_since", {"since_ms": to_ms(since), "now_ms": to_ms(now)})
        return [(tenant_id, client_id) for tenant_id, client_id in rows]

    async def revoke_login(self, login: RevokedLogin) -> None:
        """End a login in a tenant."""
        await self._change("revoke_login", login_values(login))

    async def allow_login(self, tenant_id: str, client_id: str, now: datetime) -> None:
        """Take its tokens again that are issued from now on."""
        values = {"tenant_id": tenant_id, "client_id": client_id, "now_ms": to_ms(now)}
        await self._change("allow_login", values)

    async def revoked_login(self, tenant_id: str, client_id: str) -> RevokedLogin | None:
        """The login if it was ever revoked in the tenant."""
        values = {"tenant_id": tenant_id, "client_id": client_id}
        rows = await self._rows("revoked_login", values)
        return login_of(rows[0]) if rows else None

    async def revoked_logins(self, tenant_id: str) -> list[RevokedLogin]:
        """Every login that was ever revoked in the tenant, by subject."""
        return [
            login_of(row) for row in await self._rows("revoked_logins", {"tenant_id": tenant_id})
        ]

    async def client_of_token(self, token_digest: str, now: datetime) -> Client | None:
        """Whose token this is: None when unknown, expired, or its client is revoked."""
        entry = self._tokens.get(token_digest) or await self._read_token(token_digest)
        if entry is None:
            return None
        client, expires_ms = entry
        return client if expires_ms > to_ms(now) else None

    async def _read_token(self, token_digest: str) -> TokenEntry | None:
        """The token's client and expiry from the database; cached if there is one."""
        read_from_s = self._tokens.now()
        values = {"digest": token_digest}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["client_of_token"], values).fetchall()
        )
        if not rows:
            return None
        entry = clients_of(rows)[0], int(rows[0][-1])
        self._tokens.put(token_digest, entry, read_from_s)
        return entry

    async def remove_expired_tokens(self, now: datetime) -> int:
        """Delete tokens that are expired or of a revoked client; returns how many."""
        return await self._change("remove_expired_tokens", {"now_ms": to_ms(now)})

    async def _rows(self, statement: str, values: Values) -> list[Row]:
        """What one statement reads."""
        return await self._connections.read(
            lambda db: db.execute(self._sql[statement], values).fetchall()
        )

    async def _change(self, statement: str, values: Values) -> int:
        """Run one statement durably; returns the number of rows that it changed."""
        return await self._connections.write(
            lambda db: db.execute(self._sql[statement], values).rowcount, durable=True
        )


class _TokenCache:
    """A cache of tokens' clients and of when the tokens expire."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.now = monotonic
        self._entries: OrderedDict[str, tuple[float, TokenEntry]] = OrderedDict()
        self._cleared_s = float("-inf")

    def get(self, token_digest: str) -> TokenEntry | None:
        """What was read less than `TOKEN_CACHE_S` ago."""
        found = self._entries.get(token_digest)
        if found is None:
            return None
        read_from_s, entry = found
        if self.now() - read_from_s < TOKEN_CACHE_S:
            return entry
        del self._entries[token_digest]
        return None

    def put(self, token_digest: str, entry: TokenEntry, read_from_s: float) -> None:
        """Cache the result of a read that began at `read_from_s`, unless all was cleared since."""
        if read_from_s <= self._cleared_s:
            return
        self._entries.pop(token_digest, None)
        self._entries[token_digest] = read_from_s, entry
        if len(self._entries) > MAX_CACHED_TOKENS:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """A client was changed on this node: read every token anew."""
        self._entries.clear()
        self._cleared_s = self.now()
