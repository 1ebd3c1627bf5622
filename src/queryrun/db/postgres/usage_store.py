"""UsageStore on PostgreSQL."""

from __future__ import annotations

from datetime import datetime

from queryrun.db.postgres.connections import Connections
from queryrun.db.times import DAY_MS, to_ms
from queryrun.db.usage_rows import (
    REMOVED_AT_ONCE,
    SUMS_OF_RECORDS,
    page_of,
    report_sql,
    report_values,
    run_totals,
    sums_of,
    sums_sql,
    sums_values,
)
from queryrun.runs.usage import SumsQuery, UsagePage, UsageQuery, UsageSums, UsageTotals

_OF_RUN = (
    f"SELECT {SUMS_OF_RECORDS} FROM usage_records"  # noqa: S608 - constants
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = %(run_id)s) GROUP BY outcome, cause"
)
_TABLES_OF_RUN = (
    "SELECT tables FROM usage_records WHERE run_seq = (SELECT seq FROM runs WHERE id = %(run_id)s)"
    " AND tables IS NOT NULL"
)
_TAG = (
    "coalesce((SELECT pair ->> 1 FROM jsonb_array_elements(u.tags::jsonb) pair"
    " WHERE pair ->> 0 = %(tag)s LIMIT 1), '') COLLATE \"C\""
)


class PostgresUsageStore:
    """UsageStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def run_usage(self, run_id: str) -> UsageTotals:
        """The sum over the run's records."""
        values = {"run_id": run_id}
        rows, tables = await self._connections.read(
            lambda db: (
                db.execute(_OF_RUN, values).fetchall(),
                db.execute(_TABLES_OF_RUN, values).fetchall(),
            )
        )
        return run_totals(rows, tables)

    async def report(self, query: UsageQuery) -> UsagePage:
        """One page of sums."""
        statement, values = report_sql(query, bind="%({})s", tag=_TAG), report_values(query)
        rows = await self._connections.read(
            lambda db: db.execute(statement, values, prepare=False).fetchall()
        )
        return page_of(rows, query)

    async def sums(self, query: SumsQuery) -> UsageSums:
        """Sums that are kept with each record."""
        statement, values = sums_sql(query, bind="%({})s"), sums_values(query)
        [row] = await self._connections.read(lambda db: db.execute(statement, values).fetchall())
        return sums_of(row)

    async def add_download(self, run_id: str, size_bytes: int) -> None:
        """Count one download of the run's file."""
        values = {"run_id": run_id, "size_bytes": size_bytes}
        await self._connections.write(
            lambda db: db.execute(self._sql["add_download"], values).rowcount, durable=False
        )

    async def remove_expired_usage(self, *, finished_before: datetime) -> int:
        """Delete the records of days that were over before that time."""
        values = {"day": to_ms(finished_before) // DAY_MS, "limit": REMOVED_AT_ONCE}
        return await self._connections.write(
            lambda db: db.execute(self._sql["remove_usage_records"], values).rowcount, durable=False
        )

    async def remove_expired_sums(self, *, finished_before: datetime) -> int:
        """Delete the sums of days that were over before that time."""
        values = {"day": to_ms(finished_before) // DAY_MS}
        return await self._connections.write(
            lambda db: db.execute(self._sql["remove_usage_sums"], values).rowcount, durable=False
        )
