"""StatementStore on PostgreSQL."""

from __future__ import annotations

from queryrun.db.postgres.additions import added_in_turn
from queryrun.db.postgres.connections import Connections
from queryrun.db.rows import Values
from queryrun.db.statement_rows import statement_of, statement_values
from queryrun.runs.statements import SavedStatement


class PostgresStatementStore:
    """StatementStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def add_statement(self, statement: SavedStatement, max_per_client: int) -> bool:
        """Write a new one; False when the client has as many as it may."""
        values = {**statement_values(statement), "max_per_client": max_per_client}
        return await self._connections.write(
            lambda db: added_in_turn(db, self._sql, "add_statement", values), durable=True
        )

    async def replace_statement(self, statement: SavedStatement) -> bool:
        """Write its content; False when it is gone."""
        return await self._change("replace_statement", statement_values(statement))

    async def remove_statement(self, statement_id: str) -> bool:
        """Delete it; False when it was gone."""
        return await self._change("remove_statement", {"id": statement_id})

    async def get_statement(self, statement_id: str) -> SavedStatement | None:
        """The statement as last written, or None."""
        values = {"id": statement_id}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["statement_by_id"], values).fetchone()
        )
        return None if row is None else statement_of(row)

    async def list_statements(
        self, tenant_id: str, entity_id: str, client_id: str, *, limit: int, sql_chars: int
    ) -> list[SavedStatement]:
        """The client's own and the shared ones, by folder and name, their SQL cut."""
        values = {
            "tenant_id": tenant_id,
            "entity_id": entity_id,
            "client_id": client_id,
            "limit": limit,
            "sql_chars": sql_chars,
        }
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["statements_of"], values).fetchall()
        )
        return [statement_of(row) for row in rows]

    async def _change(self, name: str, values: Values) -> bool:
        changed = await self._connections.write(
            lambda db: db.execute(self._sql[name], values).rowcount, durable=True
        )
        return changed == 1
