"""Rows of clients and their entities turned into records, and back; the same in both databases."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from queryrun.auth.model import Client, Entity, RevokedLogin, Scope
from queryrun.db.rows import Row, Values, json_text, values_before, words
from queryrun.db.times import from_ms, from_ms_or_none, to_ms, to_ms_or_none


def client_values(client: Client) -> Values:
    """A client without its entities."""
    return {
        "id": client.id,
        "tenant_id": client.tenant_id,
        "name": client.name,
        "scopes": json_text(sorted(client.scopes)),
        "org_ids": json_text(client.org_ids),
        "created_ms": to_ms(client.created_time),
        "revoked_ms": to_ms_or_none(client.revoked_time),
        "expires_ms": to_ms_or_none(client.expires_time),
    }


def changed_client_values(client: Client, before: Client) -> Values:
    """A client that is being changed, and what it was."""
    changed = ("scopes", "org_ids", "expires_ms")
    return {**client_values(client), **values_before(client_values(before), changed)}


def entity_values(entity: Entity) -> Values:
    """An entity."""
    return {"id": entity.id, "tenant_id": entity.tenant_id, "name": entity.name}


def login_values(login: RevokedLogin) -> Values:
    """A login that is being revoked."""
    return {
        "tenant_id": login.tenant_id,
        "client_id": login.client_id,
        "subject": login.subject,
        "revoked_ms": to_ms(login.revoked_time),
    }


def login_of(row: Row) -> RevokedLogin:
    """Read a row of `revoked_logins`."""
    tenant_id, client_id, subject, revoked_ms, allowed_ms = row
    return RevokedLogin(
        tenant_id, client_id, subject, from_ms(revoked_ms), from_ms_or_none(allowed_ms)
    )


def clients_of(rows: Iterable[Row]) -> list[Client]:
    """Read the rows of `select_clients`: one for each entity of a client, side by side."""
    return [_client(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]


def _client(rows: list[Row]) -> Client:
    """The rows repeat the client, so the first of them has it."""
    client_id, tenant_id, name, scopes, created_ms, revoked_ms, org_ids, expires_ms, *_ = rows[0]
    return Client(
        id=client_id,
        tenant_id=tenant_id,
        name=name,
        entities=tuple(entity for row in rows for entity in _entities(*row[8:11])),
        scopes=frozenset(Scope(word) for word in words(scopes)),
        created_time=from_ms(created_ms),
        revoked_time=from_ms_or_none(revoked_ms),
        org_ids=words(org_ids),
        expires_time=from_ms_or_none(expires_ms),
    )


def _entities(entity_id: str | None, tenant_id: Any, name: Any) -> list[Entity]:
    """The entity of one row; none for a client that has none."""
    return [] if entity_id is None else [Entity(entity_id, tenant_id, name)]
