"""LimitStore on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from queryrun.db.limit_rows import limits_of_rows
from queryrun.db.rows import Row
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.runs.limits import Level, LimitValue, SubmitCount
from queryrun.runs.submit_counts import RecentSubmits


class SqliteLimitStore:
    """LimitStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._submits = RecentSubmits()

    async def limits_of(self, subjects: Sequence[tuple[Level, str]]) -> list[LimitValue]:
        """Those of these subjects."""
        bound = [{"level": level.value, "subject": subject} for level, subject in subjects]

        def unit(connection: sqlite3.Connection) -> list[Row]:
            sql = SQL["limits_of_subject"]
            return [row for values in bound for row in connection.execute(sql, values)]

        return limits_of_rows(self._reader.read(unit))

    async def limits(self, level: Level | None = None, name: str | None = None) -> list[LimitValue]:
        """All, or those of a level or name, by level, subject and name."""
        values = {"level": None if level is None else level.value, "name": name}
        statement = SQL["limits" if name is None else "limits_of_name"]
        rows = self._reader.read(lambda db: db.execute(statement, values).fetchall())
        return limits_of_rows(rows)

    async def set_limit(self, level: Level, subject: str, name: str, value: int | None) -> None:
        """Set one; None removes it."""
        values = {"level": level.value, "subject": subject, "name": name, "value": value}
        statement = SQL["remove_limit" if value is None else "set_limit"]
        await self._writer.write(lambda db: db.execute(statement, values).rowcount, durable=True)

    async def count_submit(
        self, limits: Sequence[LimitValue], *, is_counted: bool
    ) -> list[SubmitCount]:
        """In memory: there is one node."""
        return self._submits.count(limits, is_counted=is_counted)
