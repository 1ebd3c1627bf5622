"""Rows of saved statements turned into records, and back; the same in both databases."""

from __future__ import annotations

from queryrun.db.rows import Row, Values
from queryrun.db.times import from_ms, to_ms
from queryrun.runs.statements import SavedStatement, StatementContent


def statement_values(statement: SavedStatement) -> Values:
    """A statement as the columns have it."""
    content = statement.content
    return {
        "id": statement.id,
        "tenant_id": statement.tenant_id,
        "entity_id": statement.entity_id,
        "client_id": statement.client_id,
        "name": content.name,
        "folder": content.folder,
        "sql": content.sql,
        "source": content.source,
        "shared": int(content.shared),
        "created_ms": to_ms(statement.created_time),
        "updated_ms": to_ms(statement.updated_time),
    }


def statement_of(row: Row) -> SavedStatement:
    """A row in the order of `statement_columns`."""
    name, folder, sql, source, shared = row[4:9]
    return SavedStatement(
        id=row[0],
        tenant_id=row[1],
        entity_id=row[2],
        client_id=row[3],
        content=StatementContent(name, folder, sql, source, bool(shared)),
        created_time=from_ms(row[9]),
        updated_time=from_ms(row[10]),
    )
