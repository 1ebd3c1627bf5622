"""What the scans of a planned statement read: DuckDB's plan, and the ends of Parquet files.

The plan says which columns a scan reads and which filters it applies; the files' own metadata say
how large these columns are, and which row groups a filter rules out. DuckDB counts what it reads in
the same way, so the two agree.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb

from queryrun.engines.duckdb.explain import explained_sql
from queryrun.engines.duckdb.parquet_calls import ParquetCall
from queryrun.engines.duckdb.plan_scans import PlanScans, Scan, scans_of
from queryrun.engines.duckdb.scan_memory import KnownCalls, MarkedViews, RememberedEnds
from queryrun.engines.duckdb.tables import OfferedTable
from queryrun.engines.duckdb.zone_maps import RowGroups, ZoneMaps, partition_paths
from queryrun.engines.estimates import Certainty, TableEstimate
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.snapshot import Snapshot

MAX_FILES = 20_000
"""Of one scan, whose ends are read; with more, its bytes are unknown."""


def tables_read(
    connection: duckdb.DuckDBPyConnection,
    offered: Sequence[OfferedTable],
    sql: str,
    memory: ScanMemory | None = None,
) -> tuple[TableEstimate, ...]:
    """Plan the statement, where tables have to be told apart once more with marks, and add up what
    its scans read.

    An estimate for each table of `offered`. Without a `memory` their views may be marked
    afterwards: they serve no other statement. Raises `duckdb.Error`.
    """
    return _Reading(connection, offered, memory or ScanMemory(MarkedViews(connection))).tables(sql)


@dataclass(frozen=True, slots=True)
class ScanMemory:
    """What statements of one session share. `ends` of `snapshot`'s files are read once."""

    marked: MarkedViews
    ends: RememberedEnds | None = None
    snapshot: Snapshot | None = None
    calls: KnownCalls = field(default_factory=KnownCalls)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call in a table's view."""

    table: str
    call: ParquetCall


class _Reading:
    """One planned statement: its scans, and the tables that they are of."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        offered: Sequence[OfferedTable],
        memory: ScanMemory,
    ) -> None:
        self._connection = connection
        self._offered = offered
        self._memory = memory
        self._zones = ZoneMaps(connection, memory.ends, memory.snapshot)
        self._calls: dict[int, _Call] = {}
        """By their marks."""
        memory.calls.begin(memory.snapshot)
        self._of_table = {table.key: memory.calls.of(table) for table in offered}

    def tables(self, sql: str) -> tuple[TableEstimate, ...]:
        """An estimate for each table that the statement names."""
        plan = _plan(self._connection, sql)
        by_mark = self._distinguished(plan)
        if by_mark is None:
            by_mark = self._marks(sql)
        found: dict[str, list[TableEstimate]] = defaultdict(list)
        for scan in plan.scans:
            one = self._scanned(scan, by_mark.get(scan.key, []))
            found[one.name].append(one)
        return tuple(self._table(table, found[table.key], plan) for table in self._offered)

    def _distinguished(self, plan: PlanScans) -> dict[object, list[int]] | None:
        """Which calls have a scan of each kind, when each scan can be of one call alone: a second
        plan, a third of the work, says no more. None when that is not so."""
        calls = [_Call(key, call) for key, calls in self._of_table.items() for call in calls]
        found: dict[object, list[int]] = defaultdict(list)
        for scan in plan.scans:
            fitting = [0] if len(calls) == 1 else self._fitting(scan, calls)
            if len(fitting) != 1:
                return None
            found[scan.key] += fitting
        self._calls = dict(enumerate(calls))
        return found

    def _fitting(self, scan: Scan, calls: Sequence[_Call]) -> list[int]:
        return [mark for mark, one in enumerate(calls) if self._may_be_of(scan, one.call)]

    def _may_be_of(self, scan: Scan, call: ParquetCall) -> bool:
        """No scan reads a column that its files do not have, or counts other files."""
        if scan.scanned_files is not None and scan.scanned_files[1] != len(call.paths):
            return False
        columns = self._memory.calls.columns(call, self._connection)
        names = (name.lower() for name in scan.columns)
        return all(name in columns or name.partition(".")[0] in columns for name in names)

    def _marks(self, sql: str) -> dict[object, list[int]]:
        """Which calls have a scan of each kind: the statement once more, on marked views."""
        tables = [(table, self._of_table[table.key]) for table in self._offered]
        views = self._memory.marked
        first = views.of(self._memory.snapshot, tables)
        for table, calls in tables:
            numbered = enumerate(calls, first[table.key])
            self._calls |= {mark: _Call(table.key, call) for mark, call in numbered}
        found: dict[object, list[int]] = defaultdict(list)
        for scan in _plan(views.connection, sql).scans:
            if scan.mark in self._calls:
                found[scan.key].append(scan.mark)
        return found

    def _scanned(self, scan: Scan, marks: list[int]) -> TableEstimate:
        """Scans of one kind are told apart by nothing, and need not be: their sum is the same."""
        if marks:
            return self._of_call(scan, self._calls[marks.pop(0)], is_certain=True)
        possible = [self._of_call(scan, call, is_certain=False) for call in self._calls.values()]
        if not possible:
            raise RunFailed.of(FailureCode.NOT_SUPPORTED, "The plan cannot be estimated")
        return max(possible, key=lambda one: one.read_bytes or 0)

    def _of_call(self, scan: Scan, of: _Call, *, is_certain: bool) -> TableEstimate:
        call = of.call
        if scan.is_repeated or len(call.paths) > MAX_FILES:
            return TableEstimate(of.table, scan.columns)
        paths, is_pruned = self._left_files(scan, call)
        left = self._zones.left_by(paths, scan.columns, scan.filters)
        is_bound = scan.is_bounded or not is_certain or not is_pruned
        certainty = Certainty.UPPER_BOUND if is_bound else Certainty.EXACT
        return replace(_summed(of.table, call, left), certainty=certainty)

    def _left_files(self, scan: Scan, call: ParquetCall) -> tuple[Sequence[str], bool]:
        """The files that conditions on partitions leave, as far as they are as many as the plan
        says; and whether they are."""
        if not scan.file_filters:
            counted = scan.scanned_files
            return call.paths, counted is None or counted[0] == len(call.paths)
        left = partition_paths(self._connection, call, scan.file_filters)
        if left is None or scan.scanned_files is None or len(left) != scan.scanned_files[0]:
            return call.paths, False
        return left, True

    def _table(
        self, table: OfferedTable, scans: Sequence[TableEstimate], plan: PlanScans
    ) -> TableEstimate:
        """The sum of a table's scans. One without any was ruled out, if it is of Parquet."""
        calls = self._of_table[table.key]
        if not calls or plan.others or any(one.read_bytes is None for one in scans):
            columns = tuple(dict.fromkeys(name for one in scans for name in one.columns or ()))
            return TableEstimate(table.key, columns or None)
        files = sum(len(call.paths) for call in calls)
        partitions = {tuple(sorted(one.items())) for c in calls for one in c.partitions if one}
        total = TableEstimate(
            table.key, (), 0, files, 0 if partitions else None, len(partitions) or None, 0, 0,
            Certainty.EXACT,
        )  # fmt: skip
        for one in scans:
            total = _added(total, one)
        return total


def _plan(connection: duckdb.DuckDBPyConnection, sql: str) -> PlanScans:
    row = connection.execute(explained_sql(sql, "plan")).fetchone()
    return scans_of(json.loads(str(row[1])) if row else [])


def _summed(name: str, call: ParquetCall, left: RowGroups) -> TableEstimate:
    kept = [
        tuple(sorted(one.items()))
        for path, one in zip(call.paths, call.partitions, strict=True)
        if one and path in left.paths
    ]
    return TableEstimate(
        name,
        left.columns,
        files=len(left.paths),
        partitions=len(set(kept)),
        read_rows=left.rows,
        read_bytes=left.read_bytes,
    )


def _added(total: TableEstimate, one: TableEstimate) -> TableEstimate:
    """Two scans of a table may read the same files: of those the larger number counts."""
    both = {total.certainty, one.certainty}
    return replace(
        total,
        columns=tuple(dict.fromkeys((*(total.columns or ()), *(one.columns or ())))),
        files=max(total.files or 0, one.files or 0),
        partitions=None if total.partitions is None else max(total.partitions, one.partitions or 0),
        read_rows=(total.read_rows or 0) + (one.read_rows or 0),
        read_bytes=(total.read_bytes or 0) + (one.read_bytes or 0),
        certainty=Certainty.EXACT if both == {Certainty.EXACT} else Certainty.UPPER_BOUND,
    )
