"""What a statement would read at Trino, by Trino's own statistics of its tables.

Trino plans the statement and runs nothing: `EXPLAIN (TYPE IO)` names the tables, and the plan says
how often each is read, which the former does not. Bytes are those of values in memory and not of
files, and where a table has no statistics, nobody knows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import (
    Certainty,
    StatementEstimate,
    TableEstimate,
    unknown_tables,
)
from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.failures import ErrorContext, failure_of
from queryrun.engines.trino.name_scope import NameScope
from queryrun.engines.trino.query import Query, QueryRequest
from queryrun.engines.trino.statement import BARRIER, PreparedStatement, prepare
from queryrun.engines.trino.tables import columns_of_tables
from queryrun.sql.compile.reading import Parsed, read
from queryrun.sql.guard.restrict import RowRules
from queryrun.sql.position import SourcePosition
from queryrun.sql.trino.markers import Value
from queryrun.sql.trino.records import ast

_NAME = "queryrun"
"""Of the queries: no attempt's name, so that nobody takes them for work without an owner."""
_IO = "EXPLAIN (TYPE IO, FORMAT JSON)"
_PLAN = "EXPLAIN (TYPE LOGICAL, FORMAT JSON)"


@dataclass(frozen=True, slots=True)
class _Response:
    """The columns of a query's result, and the first value of its first row."""

    described: list[dict[str, Any]]
    text: str

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Names and types."""
        return tuple((one["name"], one["type"]) for one in self.described)


def open_estimator(
    options: Mapping[str, str],
    secret: str | None,
    work_dir: str,  # noqa: ARG001 - writes nothing
    time_zone: str,
) -> TrinoEstimator:
    """An estimator over one entity's source. Sends nothing yet."""
    return TrinoEstimator(TrinoEndpoint.of(options, secret), time_zone)


class TrinoEstimator:
    """See `estimates.Estimator`. Each question is a query of its own; nothing is kept."""

    def __init__(self, endpoint: TrinoEndpoint, time_zone: str) -> None:
        self._endpoint = endpoint
        self._time_zone = time_zone

    def estimate(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value] = ()
    ) -> StatementEstimate:
        """Ask for the columns of the result, then for what is read.

        Statistics count rows of all orgs, so a client of some is told nothing by them.
        """
        prepared = self._prepared(statement, row_filter, values)
        parsed = read(statement, values)
        if parsed.explain:
            return self._explained(parsed, prepared)
        if isinstance(parsed.node, ast.Show):
            return StatementEstimate(self._query(prepared, "").columns, ())
        columns = self._columns(prepared)
        if row_filter.is_by_org:
            return StatementEstimate(columns, unknown_tables(parsed.needs.tables))
        entries = _entries(json.loads(self._query(prepared, _IO).text))
        scans = list(_scans(json.loads(self._query(prepared, _PLAN).text)))
        return StatementEstimate(columns, tuple(_tables(entries, scans)))

    def prepare(self) -> None:
        """Nothing is kept between questions."""

    def release_files(self) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing is kept between questions."""

    def _columns(self, prepared: PreparedStatement) -> tuple[tuple[str, str], ...]:
        """Of the result, as Trino names and types them; a LIMIT of 0 reads nothing.

        A statement with functions of its own goes into no parentheses: its plan says the names,
        and the types where it has one for each.
        """
        if not prepared.text.lstrip()[:20].upper().startswith("WITH FUNCTION"):
            return self._query(prepared, "SELECT * FROM (", ") LIMIT 0").columns
        output = json.loads(self._query(prepared, _PLAN).text)
        names = str(output["descriptor"].get("columnNames", "[]"))[1:-1].split(", ")
        kinds = [str(one["type"]) for one in output["outputs"]]
        kinds = kinds if len(kinds) == len(names) else ["unknown"] * len(names)
        return tuple(zip(names, kinds, strict=True))

    def _explained(self, parsed: Parsed, prepared: PreparedStatement) -> StatementEstimate:
        """What EXPLAIN ANALYZE explains is run by it, so it is not asked for here."""
        columns: tuple[tuple[str, str], ...] = (("Query Plan", "varchar"),)
        if parsed.explain != "analyze":
            columns = self._query(prepared, "").columns
        return StatementEstimate(columns, unknown_tables(parsed.needs.tables))

    def _prepared(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value]
    ) -> PreparedStatement:
        rules = RowRules(
            row_filter.deleted_rows_of_source, row_filter.org_column, row_filter.org_ids, BARRIER
        )

        def columns(tables: Sequence[ast.Table]) -> list[dict[str, str]]:
            return columns_of_tables(tables, statement, self._described)

        with _translated(ErrorContext()):
            return prepare(statement, rules, NameScope(self._endpoint), columns, values)

    def _described(self, text: str) -> list[dict[str, Any]]:
        return self._respond(text).described

    def _query(self, prepared: PreparedStatement, before: str, after: str = "") -> _Response:
        """Query about the statement; `before` and `after` are lines of their own."""
        lines = 1 if before else 0

        def position(line: int, column: int) -> SourcePosition:
            return prepared.position(max(1, line - lines), column)

        text = "\n".join(part for part in (before, prepared.text, after) if part)
        with _translated(ErrorContext(position)):
            return self._respond(text)

    def _respond(self, text: str) -> _Response:
        """Without spooling, as the catalog: what comes back is small."""
        query = Query(self._endpoint, QueryRequest(text, _NAME, self._time_zone, encodings=()))
        try:
            query.start()
            first = [str(row[0]) for page in query.pages() for row in page]
            return _Response(query.columns, "\n".join(first[:1]))
        finally:
            query.end()


@contextmanager
def _translated(context: ErrorContext) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        failure = failure_of(error, context)
        if failure is error:
            raise
        raise failure from error


@dataclass(frozen=True, slots=True)
class _Size:
    """What Trino expects of one scan; None: it has no statistics."""

    rows: int | None
    size_bytes: int | None

    @classmethod
    def of(cls, estimate: Mapping[str, Any]) -> _Size:
        """Trino writes what is unknown as NaN."""
        rows, size = estimate.get("outputRowCount"), estimate.get("outputSizeInBytes")
        return cls(_whole(rows), _whole(size))


def _whole(number: object) -> int | None:
    return round(number) if isinstance(number, int | float) else None


def _entries(io: Mapping[str, Any]) -> list[tuple[str, _Size]]:
    """The tables of `EXPLAIN (TYPE IO)`: a scan that is like another one is in it once."""
    return [
        (one["table"]["schemaTable"]["table"], _Size.of(one["estimate"]))
        for one in io["inputTableColumnInfos"]
    ]


def _scans(plan: Mapping[str, Any]) -> Iterator[_Size]:
    """The scans of a plan, as they are before their filters. How a plan names a table is its
    connector's affair, so they are told apart by their sizes."""
    if "table" in plan["descriptor"]:
        yield _Size.of(next(iter(plan["estimates"]), {}))
    for child in plan["children"]:
        yield from _scans(child)


def _tables(entries: Sequence[tuple[str, _Size]], scans: Sequence[_Size]) -> list[TableEstimate]:
    """Each table with the sum of its scans: an entry stands for all scans of its size."""
    found: dict[str, list[_Size]] = defaultdict(list)
    left = list(scans)
    for name, size in entries:
        found[name].append(size)
        if size in left:
            left.remove(size)
    for name, size in entries:
        while size in left:
            left.remove(size)
            found[name].append(size)
    return [_table(name, sizes) for name, sizes in found.items()]


def _table(name: str, sizes: Sequence[_Size]) -> TableEstimate:
    rows = [one.rows for one in sizes if one.rows is not None]
    size_bytes = [one.size_bytes for one in sizes if one.size_bytes is not None]
    read_rows = sum(rows) if len(rows) == len(sizes) else None
    read_bytes = sum(size_bytes) if len(size_bytes) == len(sizes) else None
    is_known = read_rows is not None or read_bytes is not None
    return TableEstimate(
        name,
        None,
        read_rows=read_rows,
        read_bytes=read_bytes,
        certainty=Certainty.ESTIMATED if is_known else Certainty.UNKNOWN,
    )
