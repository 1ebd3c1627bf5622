"""AuthStore on SQLite: clients, their entities, and the digests of secrets and tokens."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
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
from queryrun.db.rows import Row, Values
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import to_ms, to_ms_or_none
from queryrun.errors import NotFound

MAX_KNOWN_TOKENS = 10_000
"""About two kilobytes each; the oldest goes first."""


class _KnownToken:
    """A token's client and expiry, as they were at a version of the database."""

    __slots__ = ("client", "expires_ms", "rows", "version")

    def __init__(self, rows: list[Row]) -> None:
        self.version = -1
        self.rows = rows
        self.client = clients_of(rows)[0]
        self.expires_ms = int(rows[0][-1])


class SqliteAuthStore:
    """AuthStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._tokens: OrderedDict[str, _KnownToken] = OrderedDict()

    async def add_tenant(self, tenant_id: str, name: str) -> None:
        """Create the tenant if it does not exist yet."""
        await self._change("add_tenant", {"id": tenant_id, "name": name})

    async def tenants(self) -> list[Tenant]:
        """Every tenant, by name."""
        rows = self._reader.read(lambda db: db.execute(SQL["tenants"]).fetchall())
        return [Tenant(*row) for row in rows]

    async def add_entity(self, entity: Entity) -> Entity:
        """Create the entity, or return the one that has its name already."""

        def unit(connection: sqlite3.Connection) -> Entity:
            values = entity_values(entity)
            connection.execute(SQL["add_entity"], values)
            return Entity(*connection.execute(SQL["entity_by_name"], values).fetchone())

        return await self._writer.write(unit, durable=True)

    async def entities(self) -> list[Entity]:
        """Every entity, by name."""
        rows = self._reader.read(lambda db: db.execute(SQL["entities"]).fetchall())
        return [Entity(*row) for row in rows]

    async def add_client(self, client: Client, secret_digest: str) -> bool:
        """Create the client with its first secret; False when there is one with this id."""

        def unit(connection: sqlite3.Connection) -> bool:
            if connection.execute(SQL["add_client"], client_values(client)).rowcount == 0:
                return False
            members = [
                {"client_id": client.id, "position": position, "entity_id": entity.id}
                for position, entity in enumerate(client.entities)
            ]
            connection.executemany(SQL["add_client_entity"], members)
            secret = {"client_id": client.id, "digest": secret_digest}
            connection.execute(SQL["add_secret"], secret)
            return True

        return await self._writer.write(unit, durable=True)

    async def change_client(self, client: Client, *, before: Client) -> bool:
        """Write its scopes, orgs and expiry, unless somebody else was first."""
        return await self._change("change_client", changed_client_values(client, before)) == 1

    async def clients(self) -> list[Client]:
        """Every client, newest last, revoked ones included."""
        return clients_of(self._reader.read(lambda db: db.execute(SQL["clients"]).fetchall()))

    async def client(self, client_id: str) -> Client | None:
        """The client, revoked or not; None when unknown."""
        return self._one("client_by_id", {"client_id": client_id})

    async def secret_digests(self, client_id: str, now: datetime) -> list[str]:
        """The digests valid at `now`, the current one first; none for a revoked client."""
        values = {"client_id": client_id, "now_ms": to_ms(now)}
        rows = self._reader.read(lambda db: db.execute(SQL["secret_digests"], values).fetchall())
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

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(SQL["remove_old_secrets"], values)
            if connection.execute(SQL["expire_secrets"], values).rowcount == 0:
                raise NotFound("client_id", "there is no such client")
            connection.execute(SQL["add_secret"], values)

        await self._writer.write(unit, durable=True)

    async def revoke_client(self, client_id: str, now: datetime) -> bool:
        """Revoke the client and all its tokens at once; False when there is no such client."""
        return (
            await self._change("revoke_client", {"now_ms": to_ms(now), "client_id": client_id}) == 1
        )

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
        await self._writer.write(
            lambda db: db.execute(SQL["add_token"], values).rowcount, durable=False
        )

    async def extend_session(self, token_digest: str, expires: datetime, now: datetime) -> bool:
        """Move the end of a valid session's token; False when there is no such session."""
        values = {
            "digest": token_digest,
            "expires_ms": to_ms(expires),
            "now_ms": to_ms(now),
        }
        return await self._change("extend_session", values) == 1

    async def revoke_token(self, token_digest: str, client_id: str) -> bool:
        """Revoke one token; False when this client has no such token."""
        values = {"digest": token_digest, "client_id": client_id}
        return await self._change("revoke_token", values) == 1

    async def revoked_since(self, since: datetime, now: datetime) -> list[tuple[str, str]]:
        """Clients and logins that ended in that time, with their tenants."""
        values = {"since_ms": to_ms(since), "now_ms": to_ms(now)}
        rows = self._reader.read(lambda db: db.execute(SQL["revoked_since"], values).fetchall())
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
        row = self._reader.read(lambda db: db.execute(SQL["revoked_login"], values).fetchone())
        return None if row is None else login_of(row)

    async def revoked_logins(self, tenant_id: str) -> list[RevokedLogin]:
        """Every login that was ever revoked in the tenant, by subject."""
        values = {"tenant_id": tenant_id}
        rows = self._reader.read(lambda db: db.execute(SQL["revoked_logins"], values).fetchall())
        return [login_of(row) for row in rows]

    async def client_of_token(self, token_digest: str, now: datetime) -> Client | None:
        """Whose token this is: None when unknown, expired, or its client is revoked.

        Read anew after every commit to the database, of this process or another one: what is
        known is never older than the database.
        """
        version = self._reader.read(_data_version)
        known = self._tokens.get(token_digest)
        if known is None or known.version != version:
            known = self._read_token(token_digest, version)
        return known.client if known is not None and known.expires_ms > to_ms(now) else None

    def _read_token(self, token_digest: str, version: int) -> _KnownToken | None:
        """`version` was read before: a commit since then makes what is kept here old at once."""
        values = {"digest": token_digest}
        rows = self._reader.read(lambda db: db.execute(SQL["client_of_token"], values).fetchall())
        if not rows:
            self._tokens.pop(token_digest, None)
            return None
        known = self._tokens.get(token_digest)
        if known is None or known.rows != rows:
            known = _KnownToken(rows)
        known.version = version
        self._tokens[token_digest] = known
        if len(self._tokens) > MAX_KNOWN_TOKENS:
            self._tokens.popitem(last=False)
        return known

    async def remove_expired_tokens(self, now: datetime) -> int:
        """Delete tokens that are expired or of a revoked client; returns how many."""
        return await self._change("remove_expired_tokens", {"now_ms": to_ms(now)})

    async def _change(self, statement: str, values: Values) -> int:
        """Run one statement durably; returns the number of rows that it changed."""
        return await self._writer.write(
            lambda db: db.execute(SQL[statement], values).rowcount, durable=True
        )

    def _one(self, statement: str, values: Values) -> Client | None:
        rows = self._reader.read(lambda db: db.execute(SQL[statement], values).fetchall())
        return next(iter(clients_of(rows)), None)


def _data_version(connection: sqlite3.Connection) -> int:
    """A number that is another one after each commit of another connection."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
