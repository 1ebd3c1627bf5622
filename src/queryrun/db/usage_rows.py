"""The ledger of usage as both stores bind and read it, and the SQL of its reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import msgspec

from queryrun.engines.base import TableRead
from queryrun.runs.model import AttemptOutcome
from queryrun.runs.usage import (
    ENDS_RUNS,
    NO_USAGE,
    AttemptCount,
    AttemptUsage,
    SumsQuery,
    UsageDimension,
    UsageKey,
    UsagePage,
    UsageQuery,
    UsageSums,
    UsageTotals,
    sum_of,
    tables_sum,
)

Row = tuple[Any, ...]

_EPOCH = date(1970, 1, 1)
_OUTCOMES = {outcome.value: outcome for outcome in AttemptOutcome}
_NO_DAY = 0
_COLUMNS = {
    "day": UsageDimension.DAY,
    "entity_id": UsageDimension.ENTITY,
    "client_id": UsageDimension.CLIENT,
    "source": UsageDimension.SOURCE,
    "tag": UsageDimension.TAG,
}
_KEYS = tuple(_COLUMNS)

REMOVED_AT_ONCE = 10_000
"""Records in one statement, so that no other write waits long for it."""

_FIGURES = """sum(cpu_ms) AS cpu_ms, sum(wall_ms) AS wall_ms,
    max(peak_memory_bytes) AS peak_memory_bytes, sum(read_bytes) AS read_bytes,
    sum(read_rows) AS read_rows, sum(spilled_bytes) AS spilled_bytes,
    sum(written_bytes) AS written_bytes, sum(result_rows) AS result_rows,
    sum(downloads) AS downloads, sum(downloaded_bytes) AS downloaded_bytes"""
SUMS_OF_RECORDS = f"""outcome, cause, count(*) AS records,
    count(*) - count(read_bytes + read_rows) AS not_counted, {_FIGURES}"""
"""What `totals_of` reads, of records grouped by outcome and cause. An attempt that was stopped has
bytes, those that its worker had reported, but no rows: it is not counted whole."""
_SUMS_OF_SUMS = f"outcome, cause, sum(records), sum(not_counted), {_FIGURES}"
"""The same, of such sums and of those that are kept."""


def attempt_usage_values(usage: AttemptUsage | None) -> Mapping[str, object]:
    """What the end of an attempt binds; all None when it does not say."""
    return {
        "cpu_ms": None if usage is None else usage.cpu_ms,
        "peak_memory_bytes": None if usage is None else usage.peak_memory_bytes,
        "read_bytes": None if usage is None else usage.read_bytes,
        "read_rows": None if usage is None else usage.read_rows,
        "spilled_bytes": None if usage is None else usage.spilled_bytes,
        "tables": None if usage is None or not usage.tables else _encode(usage.tables),
    }


def _encode(tables: Iterable[TableRead]) -> str:
    parts = [[one.name, one.read_bytes, one.read_rows] for one in tables]
    return msgspec.json.encode(parts).decode()


def run_totals(rows: Iterable[Row], tables: Iterable[Row]) -> UsageTotals:
    """Read `SUMS_OF_RECORDS` of one run, and its records' `tables`."""
    parts = [TableRead(*one) for (text,) in tables for one in msgspec.json.decode(text)]
    return replace(totals_of(rows), tables=tables_sum(parts))


def totals_of(rows: Iterable[Row]) -> UsageTotals:
    """Read `SUMS_OF_RECORDS`, or sums of them."""
    return sum_of(_totals_of_one(*row) for row in rows)


def _totals_of_one(
    outcome: str, cause: str, count: int, not_counted: int, *sums: int | None
) -> UsageTotals:
    """Downloads are records too, and no attempts. Sums of PostgreSQL are decimals."""
    numbers = [int(one or 0) for one in sums]
    if outcome not in _OUTCOMES:
        return UsageTotals((), 0, *numbers)
    attempts = (AttemptCount(_OUTCOMES[outcome], cause, int(count)),)
    return UsageTotals(attempts, int(not_counted), *numbers)


# --- reports --------------------------------------------------------------------------------


def report_sql(query: UsageQuery, *, bind: str, tag: str) -> str:
    """The statement of a page. `bind` is how a parameter is written, `tag` the SQL of the value of
    the tag `tag`. The parts are constants of this module; every value is bound.

    Index: usage_sums_of_days or the primary key of usage_sums; by tag usage_of_days. It has one
    more key than the page, so that the next one is known.
    """
    keys = ", ".join(f"{_key_column(query, column, tag)} AS {column}" for column in _KEYS)
    listed = ", ".join(_KEYS)
    after = ""
    if query.after is not None:
        after = f" WHERE ({listed}) > ({', '.join(bind.format('after_' + key) for key in _KEYS)})"
    return (
        # Constants of this module alone; values are bound.
        f"WITH chosen AS MATERIALIZED (SELECT {keys}, {_PART} FROM {_parts(query, bind)}),"  # noqa: S608
        f" page AS (SELECT DISTINCT {listed} FROM chosen{after}"
        f" ORDER BY {listed} LIMIT {bind.format('limit')})"
        f" SELECT {listed}, {_SUMS_OF_SUMS} FROM chosen JOIN page USING ({listed})"
        f" GROUP BY {listed}, outcome, cause ORDER BY {listed}, outcome, cause"
    )


_PART = """outcome, cause, records, not_counted, cpu_ms, wall_ms, peak_memory_bytes, read_bytes,
    read_rows, spilled_bytes, written_bytes, result_rows, downloads, downloaded_bytes"""


def _parts(query: UsageQuery, bind: str) -> str:
    """The sums that are kept. They have no tags: a report by tag adds up the records, first those
    whose tags are all the same, so that each text of tags is read once."""
    if UsageDimension.TAG not in query.group_by:
        return f"usage_sums u WHERE {_whose(query, bind)}"
    columns = "day, entity_id, client_id, source, tags"
    return (
        f"(SELECT {columns}, {SUMS_OF_RECORDS} FROM usage_records u"  # noqa: S608 - constants
        f" WHERE {_whose(query, bind)} GROUP BY {columns}, outcome, cause) u"
    )


def _key_column(query: UsageQuery, column: str, tag: str) -> str:
    """The SQL of a key; a constant when it is not grouped by."""
    if _COLUMNS[column] not in query.group_by:
        return str(_NO_DAY) if column == "day" else "''"
    return tag if column == "tag" else f"u.{column}"


def report_values(query: UsageQuery) -> dict[str, object]:
    """What `report_sql` binds."""
    values = sums_values(query) | {"tag": query.tag, "limit": query.limit + 1}
    if (after := query.after) is not None:
        values |= {
            "after_day": _NO_DAY if after.day is None else _number(after.day),
            "after_entity_id": after.entity_id,
            "after_client_id": after.client_id,
            "after_source": after.source,
            "after_tag": after.tag,
        }
    return values


def page_of(rows: Iterable[Row], query: UsageQuery) -> UsagePage:
    """Read `report_sql`. Without dimensions there is one row, also of no records."""
    width = len(_KEYS)
    found = [
        (_key(key), totals_of(row[width:] for row in group))
        for key, group in groupby(rows, key=lambda row: row[:width])
    ]
    if not found and not query.group_by and query.after is None:
        found = [(UsageKey(), NO_USAGE)]
    page = tuple(found[: query.limit])
    return UsagePage(page, page[-1][0] if len(found) > query.limit else None)


def _key(values: Row) -> UsageKey:
    day, *names = values
    return UsageKey(None if day == _NO_DAY else _EPOCH + timedelta(days=day), *names)


def _number(day: date) -> int:
    return (day - _EPOCH).days


# --- sums -----------------------------------------------------------------------------------

_ENDS_RUNS = ", ".join(f"'{one.value}'" for one in ENDS_RUNS)
_LIMITED = ", ".join(
    f"sum(CASE WHEN outcome IN ({_ENDS_RUNS}) THEN records ELSE 0 END)"
    if one.name == "runs"
    else f"sum({one.name})"
    for one in fields(UsageSums)
)


def sums_sql(query: SumsQuery, *, bind: str) -> str:
    """The statement of `UsageStore.sums`, of constants; every value is bound. Index: the primary
    key, of a client from the range of its own rows, of a tenant or source from the tenant's."""
    return f"SELECT {_LIMITED} FROM usage_sums u WHERE {_whose(query, bind)}"  # noqa: S608 - constants


def sums_values(query: SumsQuery) -> dict[str, object]:
    """What `sums_sql` binds."""
    return {
        "tenant_id": query.tenant_id,
        "first_day": _number(query.first_day),
        "last_day": _number(query.last_day),
        "of_entity_id": query.entity_id,
        "of_client_id": query.client_id,
        "of_source": query.source,
    }


def _whose(query: SumsQuery, bind: str) -> str:
    """The conditions of a query, on a table `u`."""
    conditions = ["tenant_id = " + bind.format("tenant_id")]
    conditions.append(f"u.day BETWEEN {bind.format('first_day')} AND {bind.format('last_day')}")
    conditions += [
        f"{column} = {bind.format('of_' + column)}"
        for column in ("entity_id", "client_id", "source")
        if getattr(query, column) is not None
    ]
    return " AND ".join(conditions)


def sums_of(row: Row) -> UsageSums:
    """Read `sums_sql`. A sum of no rows is NULL."""
    return UsageSums(*(int(one or 0) for one in row))
