"""LimitStore on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.db.limit_rows import limits_of_rows
from queryrun.db.postgres.connections import Connections
from queryrun.runs.limits import Level, LimitValue, SubmitCount


class PostgresLimitStore:
    """LimitStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def limits_of(self, subjects: Sequence[tuple[Level, str]]) -> list[LimitValue]:
        """Those of these subjects, in one round trip."""
        values = {
            "levels": [level.value for level, _ in subjects],
            "subjects": [subject for _, subject in subjects],
        }
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["limits_of_subjects"], values).fetchall()
        )
        return limits_of_rows(rows)

    async def limits(self, level: Level | None = None, name: str | None = None) -> list[LimitValue]:
        """All, or those of a level or name, by level, subject and name."""
        values = {"level": None if level is None else level.value, "name": name}
        statement = self._sql["limits" if name is None else "limits_of_name"]
        rows = await self._connections.read(lambda db: db.execute(statement, values).fetchall())
        return limits_of_rows(rows)

    async def set_limit(self, level: Level, subject: str, name: str, value: int | None) -> None:
        """Set one; None removes it."""
        values = {"level": level.value, "subject": subject, "name": name, "value": value}
        statement = self._sql["remove_limit" if value is None else "set_limit"]
        await self._connections.write(
            lambda db: db.execute(statement, values).rowcount, durable=True
        )

    async def count_submit(
        self, limits: Sequence[LimitValue], *, is_counted: bool
    ) -> list[SubmitCount]:
        """In the database, in one round trip: all nodes count together."""
        keys = [f"{one.level} {one.subject}" for one in limits]
        values = {
            "keys": keys,
            "quotas": [one.value for one in limits],
            "is_counted": is_counted,
        }
        rows = await self._connections.write(
            lambda db: db.execute(self._sql["count_submit"], values).fetchall(), durable=False
        )
        found = {
            key: SubmitCount(used, max(0, again_ms or 0) / 1000) for key, used, again_ms in rows
        }
        return [found[key] for key in keys]
