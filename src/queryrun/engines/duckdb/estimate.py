"""What a statement would read of an entity's files (`scan_sizes`).

Nothing is computed and no row is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import duckdb

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.scan_memory import (
    KnownCalls,
    MarkedViews,
    NarrowViews,
    RememberedEnds,
)
from queryrun.engines.duckdb.scan_sizes import ScanMemory, tables_read
from queryrun.engines.duckdb.session import open_session
from queryrun.engines.estimates import StatementEstimate, unknown_tables
from queryrun.sql.compile.types import signature
from queryrun.sql.duckdb.types import from_duckdb
from queryrun.sql.trino.markers import Value
from queryrun.tables.text.requests import RequestCopies

MEMORY_BYTES = 256 * 1024**2
"""Of DuckDB's own: it plans, and reads the ends of files."""
STATEMENTS_PER_ENGINE = 500
"""Planned by one; opening it takes 30 ms."""
_CONNECTIONS = 4
"""For statements, for marked views, for narrow ones, for what is remembered."""


def open_estimator(
    options: Mapping[str, str],
    secret: str | None,  # noqa: ARG001 - files need no secret
    work_dir: str,
    time_zone: str,
) -> DuckDBEstimator:
    """An estimator over one entity's data. Raises `RunFailed` when the data is not there."""
    limits = EngineLimits(MEMORY_BYTES, threads=1, spill_dir=work_dir, spill_bytes=0)
    return DuckDBEstimator(options, limits, time_zone)


class DuckDBEstimator:
    """See `estimates.Estimator`. Nothing is run, so one connection serves many statements, and
    files that nobody has written to since are not looked at again."""

    def __init__(self, options: Mapping[str, str], limits: EngineLimits, time_zone: str) -> None:
        self._copies: RequestCopies | None = None
        self._open_session = partial(
            open_session, options, limits, time_zone, connections=_CONNECTIONS
        )
        self._open()

    def set_copies(self, request: RequestCopies) -> None:
        """See `base.CopyingSession`."""
        self._copies = request
        self._session.set_copies(request)

    def estimate(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value] = ()
    ) -> StatementEstimate:
        """Plan the statement, and add up what its scans read."""
        self.prepare()
        self._left -= 1
        try:
            return self._estimate(statement, row_filter, values)
        finally:
            self._session.keep()

    def prepare(self) -> None:
        """Open another engine when this one has served its statements."""
        if not self._left:
            self._session.close()
            self._open()

    def release_files(self) -> None:
        """Close the files of the tables that are kept."""
        self._session.forget()

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _open(self) -> None:
        self._session = self._open_session()
        if self._copies is not None:
            self._session.set_copies(self._copies)
        self._marked = MarkedViews(self._session.spare_connection())
        self._ends = RememberedEnds(self._session.spare_connection())
        self._calls = KnownCalls()
        narrow = NarrowViews(self._session.spare_connection(), self._calls)
        self._session.describe_on(narrow.connection)
        self._left = STATEMENTS_PER_ENGINE

    def _estimate(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value]
    ) -> StatementEstimate:
        session = self._session
        planned = session.plan_unread(statement, row_filter, values)
        columns = tuple((one.name, _type(one.type)) for one in planned.rows.columns)
        offered = session.offered_tables
        if row_filter.is_by_org or planned.is_explained:
            # What hidden rows have a part in is not told; what EXPLAIN reads nobody counts.
            return StatementEstimate(columns, unknown_tables(one.key for one in offered))
        try:
            memory = ScanMemory(self._marked, self._ends, session.snapshot, self._calls)
            tables = tables_read(planned.rows.connection, offered, planned.rows.relation, memory)
        except duckdb.Error as error:
            raise session.failure_of(error) from error
        session.verify_rows()
        return StatementEstimate(columns, tables)


def _type(engine_type: str) -> str:
    found = from_duckdb(engine_type)
    return engine_type.lower() if found is None else signature(found[0])
