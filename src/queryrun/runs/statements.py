"""Saved statements: named SQL in folders, one's own or shared in the entity.

Everybody of the entity reads what is shared; only who saved it (or an admin) changes or deletes it.
Nothing runs here: a saved statement is submitted as any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from queryrun.auth.model import Principal
from queryrun.errors import Forbidden, InvalidRequest, NotFound
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS

MAX_NAME_CHARS = 200
MAX_FOLDER_CHARS = 200
MAX_SOURCE_CHARS = 64
MAX_SQL_CHARS = 100_000
"""Shorter than what may run: lists of statements are read whole."""
MAX_PER_CLIENT = 500
"""Statements that one client may keep: 50 MB at most."""
MAX_LISTED = 2_000
"""Statements of a list, by folder and name; their SQL is cut to `LISTED_SQL_CHARS`."""
LISTED_SQL_CHARS = 400

assert MAX_SQL_CHARS <= MAX_STATEMENT_CHARS  # noqa: S101 - of two constants


@dataclass(frozen=True, slots=True)
class StatementContent:
    """What a person gives."""

    name: str
    folder: str
    sql: str
    source: str | None
    shared: bool


@dataclass(frozen=True, slots=True)
class SavedStatement:
    """A statement as last written."""

    id: str
    tenant_id: str
    entity_id: str
    client_id: str
    content: StatementContent
    created_time: datetime
    updated_time: datetime


class StatementStore(Protocol):
    """Keeps statements. Does not check who may see or change them, beyond what it is asked."""

    async def add_statement(self, statement: SavedStatement, max_per_client: int) -> bool:
        """Write a new one, durably. False, and nothing written, when the client has as many."""
        ...

    async def replace_statement(self, statement: SavedStatement) -> bool:
        """Write its content and `updated_time`, durably. False when it is gone."""
        ...

    async def remove_statement(self, statement_id: str) -> bool:
        """Delete it, durably. False when it was gone."""
        ...

    async def get_statement(self, statement_id: str) -> SavedStatement | None:
        """The statement as last written, or None."""
        ...

    async def list_statements(
        self, tenant_id: str, entity_id: str, client_id: str, *, limit: int, sql_chars: int
    ) -> list[SavedStatement]:
        """The client's own in the entity and those that are shared there, by folder and name.

        Their SQL is cut to `sql_chars`.
        """
        ...


async def save(
    store: StatementStore, principal: Principal, content: StatementContent, now: datetime
) -> SavedStatement:
    """Keep a new statement. `InvalidRequest` when the client keeps `MAX_PER_CLIENT` already."""
    statement = SavedStatement(
        id=str(uuid4()),
        tenant_id=principal.tenant_id,
        entity_id=principal.entity_id,
        client_id=principal.client_id,
        content=content,
        created_time=now,
        updated_time=now,
    )
    if not await store.add_statement(statement, MAX_PER_CLIENT):
        message = f"a client may keep {MAX_PER_CLIENT} statements; delete one first"
        raise InvalidRequest.of("name", message)
    return statement


async def find(store: StatementStore, principal: Principal, statement_id: str) -> SavedStatement:
    """A statement that the principal may read; `NotFound` for every other."""
    found = await store.get_statement(statement_id)
    if found is None or not _may_read(principal, found):
        raise NotFound("statement_id", "the statement could not be found")
    return found


async def change(
    store: StatementStore,
    principal: Principal,
    statement_id: str,
    content: StatementContent,
    now: datetime,
) -> SavedStatement:
    """Replace its content. `Forbidden` for a shared one of somebody else."""
    found = await _own(store, principal, statement_id)
    changed = replace(found, content=content, updated_time=now)
    if not await store.replace_statement(changed):
        raise NotFound("statement_id", "the statement could not be found")
    return changed


async def remove(store: StatementStore, principal: Principal, statement_id: str) -> None:
    """Delete it. `Forbidden` for a shared one of somebody else."""
    await _own(store, principal, statement_id)
    await store.remove_statement(statement_id)


async def visible(store: StatementStore, principal: Principal) -> list[SavedStatement]:
    """What the principal may read, by folder and name; `MAX_LISTED` at most, their SQL cut."""
    return await store.list_statements(
        principal.tenant_id,
        principal.entity_id,
        principal.client_id,
        limit=MAX_LISTED,
        sql_chars=LISTED_SQL_CHARS,
    )


async def _own(store: StatementStore, principal: Principal, statement_id: str) -> SavedStatement:
    found = await find(store, principal, statement_id)
    if found.client_id != principal.client_id and not principal.is_admin:
        raise Forbidden("only who saved a statement may change it; save it as a new one")
    return found


def _may_read(principal: Principal, found: SavedStatement) -> bool:
    is_here = (found.tenant_id, found.entity_id) == (principal.tenant_id, principal.entity_id)
    return is_here and (found.content.shared or found.client_id == principal.client_id)
