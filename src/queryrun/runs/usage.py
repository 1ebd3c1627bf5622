"""What runs have used: one record for each attempt, written in the transaction that ends it.

The records are the ledger. They are append-only, and outlive their runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from queryrun.engines.base import TableRead
from queryrun.runs.model import AttemptOutcome

ENDS_RUNS = (AttemptOutcome.COMPLETE, AttemptOutcome.FAILED, AttemptOutcome.CANCELED)
"""The outcomes of an attempt that end its run."""


@dataclass(frozen=True, slots=True)
class AttemptUsage:
    """What an attempt has used. None of what was read or spilled: the engine does not say."""

    cpu_ms: int = 0
    peak_memory_bytes: int = 0
    read_bytes: int | None = None
    read_rows: int | None = None
    spilled_bytes: int | None = None
    tables: tuple[TableRead, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptCount:
    """How many attempts ended in this way. `cause` is a failure's code, a stop's reason, or
    `complete`."""

    outcome: AttemptOutcome
    cause: str
    count: int


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """The sum of records; of memory, the largest peak.

    `read_bytes`, `read_rows` and `spilled_bytes` are of the attempts whose engine said so, and of
    those that were stopped what they had reported by then; `attempts_not_counted` is how many did
    not say all that they read. `tables` is of one run alone, as
    far as its engine told tables apart.
    """

    attempts: tuple[AttemptCount, ...] = ()
    attempts_not_counted: int = 0
    cpu_ms: int = 0
    wall_ms: int = 0
    peak_memory_bytes: int = 0
    read_bytes: int = 0
    read_rows: int = 0
    spilled_bytes: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    """Of runs that are complete."""
    downloads: int = 0
    downloaded_bytes: int = 0
    tables: tuple[TableRead, ...] = field(default=(), kw_only=True)

    @property
    def runs(self) -> int:
        """Runs that ended after an attempt: at most one of a run's attempts ends it."""
        return sum(self.count(one) for one in ENDS_RUNS)

    def count(self, outcome: AttemptOutcome) -> int:
        """How many attempts had this outcome."""
        return sum(one.count for one in self.attempts if one.outcome is outcome)

    def __add__(self, other: UsageTotals) -> UsageTotals:
        """The sum of both; attempts of the same cause are counted together."""
        counts: dict[tuple[AttemptOutcome, str], int] = {}
        for one in (*self.attempts, *other.attempts):
            counts[one.outcome, one.cause] = counts.get((one.outcome, one.cause), 0) + one.count
        return UsageTotals(
            tuple(AttemptCount(*key, count) for key, count in sorted(counts.items())),
            self.attempts_not_counted + other.attempts_not_counted,
            self.cpu_ms + other.cpu_ms,
            self.wall_ms + other.wall_ms,
            max(self.peak_memory_bytes, other.peak_memory_bytes),
            self.read_bytes + other.read_bytes,
            self.read_rows + other.read_rows,
            self.spilled_bytes + other.spilled_bytes,
            self.written_bytes + other.written_bytes,
            self.result_rows + other.result_rows,
            self.downloads + other.downloads,
            self.downloaded_bytes + other.downloaded_bytes,
        )


NO_USAGE = UsageTotals()


def tables_sum(parts: Iterable[TableRead]) -> tuple[TableRead, ...]:
    """One for each table, in the order of their names; what is unknown of a part is of the sum."""
    found: dict[str, TableRead] = {}
    for one in parts:
        before = found.get(one.name)
        found[one.name] = one if before is None else _both(before, one)
    return tuple(found[name] for name in sorted(found))


def _both(one: TableRead, other: TableRead) -> TableRead:
    sizes, rows = (one.read_bytes, other.read_bytes), (one.read_rows, other.read_rows)
    return TableRead(
        one.name,
        None if None in sizes else sum(size or 0 for size in sizes),
        None if None in rows else sum(row or 0 for row in rows),
    )


def of_own_rows(used: UsageTotals) -> UsageTotals:
    """Without what tells of rows that a client of orgs may not see: making its copy of the others
    reads them. Its attempts are not counted; the ledger keeps every figure for the operator."""
    return replace(
        used,
        attempts_not_counted=sum(one.count for one in used.attempts),
        cpu_ms=0,
        peak_memory_bytes=0,
        read_bytes=0,
        read_rows=0,
        spilled_bytes=0,
        tables=(),
    )


def sum_of(parts: Iterable[UsageTotals]) -> UsageTotals:
    """The sum of all."""
    return sum(parts, NO_USAGE)


class UsageDimension(StrEnum):
    """What usage may be grouped by, in the order of a report's columns."""

    DAY = "day"
    """The day (UTC) on which an attempt ended."""
    ENTITY = "entity"
    CLIENT = "client"
    SOURCE = "source"
    TAG = "tag"
    """The value of one tag of the runs."""


@dataclass(frozen=True, slots=True)
class UsageKey:
    """What a row of a report is about. A dimension that is not grouped by is empty, and so is the
    tag of runs that do not have it."""

    day: date | None = None
    entity_id: str = ""
    client_id: str = ""
    source: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class SumsQuery:
    """Whose usage, and of which days. What is None does not restrict."""

    tenant_id: str
    first_day: date
    last_day: date
    """Included."""
    entity_id: str | None = None
    client_id: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class UsageQuery(SumsQuery):
    """Which records to sum, and by what. Empty fields do not restrict."""

    group_by: frozenset[UsageDimension] = frozenset()
    tag: str = ""
    """The name of the tag to group by."""
    after: UsageKey | None = None
    """The key of the last row already seen."""
    limit: int = 30


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Rows in the order of their keys, and the key to continue after; None on the last page."""

    rows: tuple[tuple[UsageKey, UsageTotals], ...] = field(default=())
    next_after: UsageKey | None = None


@dataclass(frozen=True, slots=True)
class UsageSums:
    """What limits of days and months count: sums of the ledger, each as in `UsageTotals`."""

    runs: int = 0
    cpu_ms: int = 0
    wall_ms: int = 0
    read_bytes: int = 0
    spilled_bytes: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    downloaded_bytes: int = 0


class UsageStore(Protocol):
    """The ledger. `RunStore` writes the records of attempts, each with the end of its attempt."""

    async def run_usage(self, run_id: str) -> UsageTotals:
        """The sum over the run's records; nothing for a run without any."""
        ...

    async def report(self, query: UsageQuery) -> UsagePage:
        """One page of sums, each page one snapshot: of those that `sums` reads, so that many runs
        cost no more than few. By tag it reads every record of the days."""
        ...

    async def sums(self, query: SumsQuery) -> UsageSums:
        """Sums that are kept with each record, so that many runs of a period cost no more than few:
        it reads a row per client, day, source and cause, on PostgreSQL up to sixteen."""
        ...

    async def add_download(self, run_id: str, size_bytes: int) -> None:
        """Count one download of the run's file, on the day it ended. Nothing for an unknown run."""
        ...

    async def remove_expired_usage(self, *, finished_before: datetime) -> int:
        """Delete the records of days that were over before that time; returns how many."""
        ...

    async def remove_expired_sums(self, *, finished_before: datetime) -> int:
        """Delete the sums of days that were over before that time; returns how many rows."""
        ...
