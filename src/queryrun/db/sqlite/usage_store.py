"""UsageStore on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
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
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = :run_id) GROUP BY outcome, cause"
)
_TABLES_OF_RUN = (
    "SELECT tables FROM usage_records WHERE run_seq = (SELECT seq FROM runs WHERE id = :run_id)"
    " AND tables IS NOT NULL"
)
_TAG = (
    "coalesce((SELECT json_extract(pair.value, '$[1]') FROM json_each(u.tags) pair"
    " WHERE json_extract(pair.value, '$[0]') = :tag), '')"
)


class SqliteUsageStore:
    """UsageStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    async def run_usage(self, run_id: str) -> UsageTotals:
        """The sum over the run's records."""
        values = {"run_id": run_id}
        rows, tables = self._reader.read(
            lambda db: (
                db.execute(_OF_RUN, values).fetchall(),
                db.execute(_TABLES_OF_RUN, values).fetchall(),
            )
        )
        return run_totals(rows, tables)

    async def report(self, query: UsageQuery) -> UsagePage:
        """One page of sums."""
        statement, values = report_sql(query, bind=":{}", tag=_TAG), report_values(query)
        rows = await self._reader.scan(lambda db: db.execute(statement, values).fetchall())
        return page_of(rows, query)

    async def sums(self, query: SumsQuery) -> UsageSums:
        """Sums that are kept with each record."""
        statement, values = sums_sql(query, bind=":{}"), sums_values(query)
        [row] = await self._reader.scan(lambda db: db.execute(statement, values).fetchall())
        return sums_of(row)

    async def add_download(self, run_id: str, size_bytes: int) -> None:
        """Count one download of the run's file."""
        day = to_ms(self._now()) // DAY_MS
        values = {"run_id": run_id, "size_bytes": size_bytes, "day": day}
        await self._writer.write(
            lambda db: db.execute(SQL["add_download"], values).rowcount, durable=False
        )

    async def remove_expired_usage(self, *, finished_before: datetime) -> int:
        """Delete the records of days that were over before that time."""
        values = {"day": to_ms(finished_before) // DAY_MS, "limit": REMOVED_AT_ONCE}
        return await self._writer.write(
            lambda db: db.execute(SQL["remove_usage_records"], values).rowcount, durable=False
        )

    async def remove_expired_sums(self, *, finished_before: datetime) -> int:
        """Delete the sums of days that were over before that time."""
        values = {"day": to_ms(finished_before) // DAY_MS}
        return await self._writer.write(
            lambda db: db.execute(SQL["remove_usage_sums"], values).rowcount, durable=False
        )
