"""The embedded engine: one DuckDB connection over one entity's files, read-only and locked.

The defences, in the order in which a hostile statement meets them: the rules on its parse tree
(`sql/guard/policy.py`); it is only ever bound inside `FROM (…)`, where DuckDB refuses anything that
writes; external access is off except for the entity's own directory; the configuration is locked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from queryrun.engines.base import (
    Column,
    EngineLimits,
    EngineProgress,
    EngineUsage,
    RowFilter,
    Rows,
    result_columns,
)
from queryrun.engines.duckdb.barrier import Barrier
from queryrun.engines.duckdb.config import ATTACHED, limited
from queryrun.engines.duckdb.explain import (
    VALID_RELATION,
    explained_sql,
    plan_constant,
    plan_relation,
)
from queryrun.engines.duckdb.failures import OUT_OF_MEMORY, ErrorContext, failure_of
from queryrun.engines.duckdb.functions.install import InstalledFunctions
from queryrun.engines.duckdb.instance import lock, open_instance, set_up_connection
from queryrun.engines.duckdb.scan_sizes import tables_read
from queryrun.engines.duckdb.statement_tables import (
    columns_read,
    offer_tables,
    refuse_ways_round,
    without_values,
)
from queryrun.engines.duckdb.tables import OfferedTable, Tables
from queryrun.engines.duckdb.usage import usage_of
from queryrun.engines.estimates import StatementEstimate, unknown_tables
from queryrun.engines.io_plan import io_plan
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.compile.reading import Parsed, read
from queryrun.sql.compile.scope import LOCATION, Location, Output
from queryrun.sql.duckdb.translate import Request, placed, translate
from queryrun.sql.guard.policy import objection_to
from queryrun.sql.guard.tree import NotSerializableError, Tree, read_tree
from queryrun.sql.position import position_after
from queryrun.sql.trino.markers import Value
from queryrun.tables.database import AttachedDatabase
from queryrun.tables.database_faults import fault_of_file, fault_of_view, problem_of_view
from queryrun.tables.directory import DataDirectory
from queryrun.tables.faults import fault_of
from queryrun.tables.model import table_key
from queryrun.tables.shortage import raise_if_short, shortage_of
from queryrun.tables.snapshot import DESCRIPTORS, Snapshot
from queryrun.tables.text.context import TextContext
from queryrun.tables.text.requests import RequestCopies

STATEMENTS_PER_INSTANCE = 16
"""Opening an instance costs about 10 ms of CPU, a connection to it 0.2 ms."""
_OPTIONS = {"data_dir", "database"}
_SEARCH_PATH = f"SET search_path = 'system.main,{ATTACHED}.main'"
"""A macro of a database must not take the place of a function of the same name: `sum` is `sum`."""
_PIPE = "out"
_BEFORE = "DESCRIBE (\n"
"""Not FROM: two columns that differ by case only would be renamed."""
_NOWHERE = sys.maxsize
"""Positions in a translated statement are none in the statement as submitted."""


FindConnection = Callable[[Snapshot, Sequence[OfferedTable]], duckdb.DuckDBPyConnection | None]
"""A connection on which these tables of the files have the same columns; None: the statement's."""


def open_session(
    options: Mapping[str, str],
    limits: EngineLimits,
    time_zone: str = "UTC",
    secret: str | None = None,  # noqa: ARG001 - files need no secret
    connections: int = STATEMENTS_PER_INSTANCE,
) -> DuckDBSession:
    """A fresh engine over one entity's data; takes about 15 ms.

    `options` has one of `data_dir` (a directory of files, see `tables.directory`) and
    `database` (a .duckdb file, opened read-only), and may have `dialect`: `trino` or `native`,
    and `catalog` and `schema`: what Trino's SQL may have in front of a table's name.
    Raises `RunFailed` when the data is not there.
    """
    if len(_OPTIONS & options.keys()) != 1:
        raise RunFailed.of(FailureCode.INTERNAL_ERROR, "The source is not set up correctly")
    data_dir, database = options.get("data_dir"), options.get("database")
    dialect = options.get("dialect", "native")
    copies_dir = options.get("copies_dir")
    text = TextContext(Path(copies_dir).absolute() if copies_dir else None, config=limited(limits))
    if "copies_bytes" in options:
        text.max_copies_bytes = int(options["copies_bytes"])
    try:
        session = DuckDBSession(_path(data_dir), limits, dialect, text, connections)
        session.set_location(options.get("catalog", ""), options.get("schema", ""))
        session.set_up(_path(database), time_zone)
    except duckdb.Error as error:
        raise_if_short(error)
        raise
    return session


def _check_directory(data: Path) -> None:
    """Raise unless this user may look into it."""
    try:
        is_there = data.is_dir()
    except PermissionError:  # of a directory above it
        is_there = True
    if not is_there:
        raise RunFailed.of(FailureCode.DATA_UNREADABLE, "The source's data is not there")
    if not os.access(data, os.R_OK | os.X_OK):
        raise RunFailed.of(
            FailureCode.DATA_UNREADABLE, "The source's data cannot be read: no permission"
        )


@dataclass(frozen=True, slots=True)
class Unread:
    """A statement that was planned and will not be read."""

    rows: Rows
    is_explained: bool


class DuckDBSession:
    """One DuckDB instance in memory and a stock of connections to it, one per statement.

    The configuration is locked before the first statement, and a connection's own settings with
    it, so the connections are made and set up beforehand. What a statement can leave behind (its
    views are temporary) goes with its connection. See `EngineSession`.
    """

    def __init__(
        self,
        data_dir: Path | None,
        limits: EngineLimits,
        dialect: str = "native",
        text: TextContext | None = None,
        connections: int = STATEMENTS_PER_INSTANCE,
    ) -> None:
        self._text = text or TextContext(config=limited(limits))
        self._is_trino = dialect == "trino"
        self._zone = "UTC"
        self._location = LOCATION
        self._data_dir = data_dir.absolute() if data_dir else None
        self._limits = limits
        self._instance = open_instance(limits)
        self._connections = [self._instance.cursor() for _ in range(connections)]
        self._connection = self._connections[-1]
        self._snapshot: Snapshot | None = None
        self._tables: Tables | None = None
        self._kept: Tables | None = None
        self._barrier: Barrier | None = None
        self._functions = InstalledFunctions()
        self._statement = ""
        self._parsed: Parsed | None = None
        self._database: Path | None = None
        self._attached: AttachedDatabase | None = None
        self._describing: FindConnection | None = None
        self._named: Collection[str] = ()

    @property
    def output_path(self) -> str:
        """A named pipe in the spill directory."""
        return str(Path(self._limits.spill_dir, _PIPE).absolute())

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection of the next statement: where a remote engine registers its rows."""
        return self._connection

    def set_up(self, database: Path | None, time_zone: str) -> None:
        """Attach the data, set up the connections, then lock the configuration."""
        if self._data_dir:
            _check_directory(self._data_dir)
        self._database = database.absolute() if database else None
        self._zone = time_zone
        if self._database:
            self._attached = AttachedDatabase(self._instance, self._database, ATTACHED)
        for connection in self._connections:
            set_up_connection(connection, time_zone)
            if self._database:
                connection.execute(_SEARCH_PATH)
        self._lock()

    def set_copies(self, request: RequestCopies) -> None:
        """See `base.CopyingSession`."""
        self._text.request, self._text.writes_copies = request, False

    def set_location(self, catalog: str, schema: str) -> None:
        """What statements may call the catalog and the schema of the tables; empty: as ever."""
        self._location = Location(
            catalog.lower() or LOCATION.catalog,
            schema.lower() or LOCATION.schema,
        )

    def plan(
        self,
        statement: str,
        row_filter: RowFilter | None = None,
        name: str = "",  # noqa: ARG002 - for remote engines
        values: Sequence[Value] = (),
    ) -> Rows:
        """Translate, check, bind and describe one statement; nothing is computed.

        May take as long as the statement is hard to plan (an IN list of 400,000 constants:
        seconds), and ignores interrupts meanwhile: whoever cannot wait kills the process.
        """
        return self._plan(statement, row_filter or RowFilter(), values, to_read=True)

    def plan_unread(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value] = ()
    ) -> Unread:
        """As `plan`, for who only wants to know what would be read: neither is anything copied for
        a client of orgs, nor is run what EXPLAIN ANALYZE explains."""
        rows = self._plan(statement, row_filter, values, to_read=False)
        return Unread(rows, bool(self._parsed and self._parsed.explain))

    @property
    def offered_tables(self) -> Sequence[OfferedTable]:
        """The tables that the planned statement may read."""
        return self._tables.offered if self._tables else []

    @property
    def snapshot(self) -> Snapshot | None:
        """The files that they are read from; another object when any has changed. None: no files'
        tables."""
        return self._snapshot

    def _plan(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value], *, to_read: bool
    ) -> Rows:
        self._statement, self._parsed = statement, None
        if self._attached:
            self._attached.verify()
        try:
            return self._planned(statement, row_filter, values, to_read=to_read)
        except duckdb.Error as error:
            failure = self._cause_in_data(self.failure_of(error, self._relation_at(error)))
            raise without_values(failure, row_filter) from error
        except RunFailed as failed:
            failure = self._cause_in_data(failed)
            raise without_values(failure, row_filter) from failed.__cause__

    def _cause_in_data(self, failure: BaseException) -> BaseException:
        """A column that cannot be read fits nothing: the fault in its file is the cause."""
        if not isinstance(failure, RunFailed) or failure.failure.code not in _ABOUT_TYPES:
            return failure
        if self._tables and self._database:
            return self._in_another_schema(failure, self._tables)
        for table in self._snapshot.tables() if self._snapshot else ():
            for column, fault in table.column_faults.items():
                if re.search(rf"(?<!\w){re.escape(column)}(?!\w)", self._statement, re.I):
                    return RunFailed.of(FailureCode.DATA_INVALID, fault)
        return failure

    def _in_another_schema(self, failure: RunFailed, tables: Tables) -> RunFailed:
        """Tables of a database's other schemas are not read: said when one is named."""
        message = failure.failure.message.lower()
        for schema, table in tables.of_other_schemas():
            names = (f"'{schema}.{table}' does not exist", f"schema '{schema}' does not exist")
            if any(name.lower() in message for name in names):
                return RunFailed.of(
                    FailureCode.NAME_NOT_FOUND,
                    f"Tables of the schema '{schema}' cannot be read: only the schema main of a "
                    "database file is; create a view of it there",
                )
        return failure

    def offered(self, row_filter: RowFilter | None = None) -> Tables:
        """The tables as they are now, for the connection of the next statement."""
        chosen, kept, self._kept = row_filter or RowFilter(), self._kept, None
        self._text.columns = None
        if kept and kept.serves(chosen):
            return kept
        if kept:
            kept.drop_views()
        self._close_snapshot()
        if self._data_dir:
            spill_dir = self._limits.spill_dir
            work_dir = Path(spill_dir).absolute() if spill_dir else None
            self._snapshot = Snapshot(DataDirectory(self._data_dir), work_dir, self._text)
        return Tables(self._connection, self._snapshot, ATTACHED, chosen)

    def verify_rows(self) -> None:
        """See `Snapshot.verify` for files, and `AttachedDatabase.verify`. What TRY has hidden is
        raised too (`InstalledFunctions.raise_refusal`)."""
        if self._snapshot:
            self._snapshot.verify()
        if self._attached:
            self._attached.verify()
        for functions in (self._functions, self._barrier and self._barrier.functions):
            if functions:
                functions.raise_refusal()

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """DuckDB's errors as `RunFailed`, everything else untouched."""
        if isinstance(error, MemoryError):
            return RunFailed.of(FailureCode.MEMORY_LIMIT_EXCEEDED, OUT_OF_MEMORY)
        if not isinstance(error, duckdb.Error):
            return error
        if cause := shortage_of(error):
            return RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, cause.sentence)
        fault = self._fault_of_data(error)
        if fault:
            return fault
        spill_dir = self._limits.spill_dir
        context = ErrorContext(
            self._statement,
            self._table_names(),
            self._secret_paths(),
            str(Path(spill_dir).absolute()) if spill_dir else "",
        )
        if self._parsed is None:
            return failure_of(error, context, relation_at)
        return RunFailed(placed(self._parsed, failure_of(error, context, _NOWHERE).failure))

    def _fault_of_data(self, error: duckdb.Error) -> RunFailed | None:
        """Whatever the engine made of data that was written while it read: that is the fault."""
        try:
            self.verify_rows()
        except RunFailed as changed:
            return changed
        if isinstance(error, duckdb.OutOfMemoryException):
            return None
        return fault_of(str(error), self._snapshot) or self._fault_of_database(str(error))

    def _fault_of_database(self, message: str) -> RunFailed | None:
        """Of the file, or of a view in it that can be described and not read."""
        if self._database is None or self._tables is None:
            return None
        if fault := fault_of_file(message):
            return fault
        if not problem_of_view(message):
            return None
        return fault_of_view(message, self._tables.views_among(self._named))

    def interrupt(self) -> None:
        """DuckDB's own interrupt; lost when nothing runs at this moment."""
        self._text.interrupt()
        self._connection.interrupt()

    def progress(self) -> EngineProgress:
        """DuckDB's estimate, which it gives for scans of known size only."""
        try:
            percent = self._connection.query_progress()
        except duckdb.Error:
            return EngineProgress(None)
        return EngineProgress(percent if 0 <= percent <= 100 else None)

    def usage(self) -> EngineUsage:
        """DuckDB's own count. Behind a barrier it counts copies in memory, which say nothing."""
        return EngineUsage() if self._barrier else usage_of(self._connection, self.offered_tables)

    def renew(self) -> bool:
        """Go on with the next connection of the stock; False when it is used up."""
        self._close_snapshot()
        self._close_barrier()
        self._connections.pop().close()
        if not self._connections:
            return False
        self._connection, self._tables, self._statement = self._connections[-1], None, ""
        return True

    def keep(self) -> None:
        """Instead of `renew`, after `plan_unread`: nothing was run, so the connection serves on,
        and its tables if they are still as they were."""
        self._kept, self._tables, self._statement = self._tables or self._kept, None, ""

    def forget(self) -> None:
        """Give up what `keep` has kept, and close its files."""
        if self._kept:
            self._kept.drop_views()
            self._kept = None
        self._close_snapshot()

    def describe_on(self, find: FindConnection) -> None:
        """Where `plan_unread` learns of a statement's columns, of files that are kept."""
        self._describing = find

    def spare_connection(self) -> duckdb.DuckDBPyConnection:
        """One of the stock, set up as the others, for a use of the caller's own."""
        return self._connections.pop(0)

    def close(self) -> None:
        """Close the instance; its spill files go with it."""
        self._close_barrier()
        while self._connections:
            self._connections.pop().close()
        self._instance.close()
        self._close_snapshot()
        if self._attached:
            self._attached.close()

    def release_files(self) -> None:
        """Close the files of the tables that have been described; a catalog has many."""
        if self._snapshot:
            self._snapshot.close()

    def _close_snapshot(self) -> None:
        if self._snapshot:
            self._snapshot.close()
            self._snapshot = None

    # --- opening ----------------------------------------------------------------------------

    def _lock(self) -> None:
        """Comes last: afterwards not even this process can allow more."""
        directories = [f"{self._data_dir}/", DESCRIPTORS] if self._data_dir else []
        if self._data_dir and self._limits.spill_dir:
            directories.append(f"{Path(self._limits.spill_dir).absolute()}/")
        if self._text.copies_dir:
            directories.append(f"{self._text.copies_dir}/")
        lock(self._instance, directories, [self.output_path])

    # --- planning ---------------------------------------------------------------------------

    def _planned(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value], *, to_read: bool
    ) -> Rows:
        """Bound twice for a client of orgs: on the tables as they are, then behind the barrier."""
        tables = self._tables = self.offered(row_filter)
        outputs: list[Output] | None = None
        if self._is_trino:
            parsed = self._parsed = read(statement, values)
            self._named = named = parsed.needs.tables
            self._text.columns = columns_read(parsed, row_filter)
            sql, outputs = self._translated(parsed, tables, row_filter.deleted_rows)
            tree = self._checked(sql)
            self._functions.install(self._instance, sql)
        else:
            sql, tree = statement, self._checked(statement)
            self._named = named = frozenset(table_key(table.name) for table in tree.tables)
            offer_tables(tables, tree)
        refuse_ways_round(tree, row_filter)
        if not to_read:
            columns = self._described(sql, outputs, self._for_columns(row_filter))
            return Rows(self._connection, f"{sql}\n", columns)
        if row_filter.is_by_org:
            self._described(sql, outputs)
            self._pass_barrier(tables, named, tree, sql)
        if self._parsed and self._parsed.explain:
            sql, outputs = self._explained(sql, self._parsed.explain), None
        return Rows(self._connection, f"{sql}\n", self._described(sql, outputs))

    def _for_columns(self, row_filter: RowFilter) -> duckdb.DuckDBPyConnection | None:
        if self._describing is None or self._snapshot is None or row_filter.is_by_org:
            return None
        if not self._snapshot.is_keepable():
            return None
        return self._describing(self._snapshot, self.offered_tables)

    def _described(
        self,
        sql: str,
        outputs: list[Output] | None,
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> Sequence[Column]:
        """The result's columns; names and time zones as Trino has them, where it differs."""
        described = (connection or self._connection).execute(f"{_BEFORE}{sql}\n)").fetchall()
        kinds = [str(kind) for _, kind, *_ in described]
        if outputs is None:
            return result_columns([str(name) for name, *_ in described], kinds)
        columns = result_columns([output.heading for output in outputs], kinds)
        zones = [output.type.zone for output in outputs]
        return [replace(column, zone=zone) for column, zone in zip(columns, zones, strict=True)]

    def _pass_barrier(self, tables: Tables, named: Collection[str], tree: Tree, sql: str) -> None:
        """From here on there is nothing but the rows that this client may see."""
        barrier = self._barrier = Barrier(self._limits, self._zone)
        self._connection = barrier.connection
        if self._is_trino:
            barrier.install_functions(sql)
        barrier.copy(self._database, tables.offered, named, tree, sql)
        self.verify_rows()
        self._close_snapshot()
        barrier.close_off(self.output_path)

    def _close_barrier(self) -> None:
        if self._barrier:
            self._barrier.close()
            self._barrier = None

    def _checked(self, statement: str) -> Tree:
        """The statement's tree, once it is known to be one SELECT that keeps to the rules."""
        parsed = self._connection.extract_statements(statement)
        if len(parsed) != 1:
            raise RunFailed.of(FailureCode.NOT_ALLOWED, "Exactly one statement is allowed")
        if parsed[0].type is not duckdb.StatementType.SELECT:
            raise RunFailed.of(FailureCode.NOT_ALLOWED, "Only SELECT statements are allowed")
        try:
            tree = read_tree(self._connection, statement)
        except NotSerializableError as error:
            raise RunFailed.of(
                FailureCode.NOT_ALLOWED, "This kind of statement is not supported"
            ) from error
        self._refuse_what_is_not_allowed(tree)
        return tree

    def _refuse_what_is_not_allowed(self, tree: Tree) -> None:
        """Checked again in the worker, although the guard has checked: it is the defence."""
        objection = objection_to(tree, frozenset(self._table_names()))
        if objection is None:
            return
        line = column = None
        if objection.offset is not None:
            position = position_after(self._statement.encode()[: objection.offset])
            line, column = position.line, position.column
        code = FailureCode.NAME_NOT_FOUND if objection.is_unknown else FailureCode.NOT_ALLOWED
        raise RunFailed(Failure(code, objection.message, line, column))

    def _translated(
        self, parsed: Parsed, tables: Tables, deleted_rows: str
    ) -> tuple[str, list[Output]]:
        """The statement in DuckDB's SQL and its columns; its tables are offered."""
        needs = parsed.needs
        schema = tables.whole_schema() if needs.every_column else tables.schema(needs.tables)
        return translate(parsed, schema, Request(self._zone, deleted_rows, self._location))

    def _explained(self, sql: str, what: str) -> str:
        """What the statement would do, instead of the statement. `analyze` runs it, to its end."""
        self._connection.execute(f"{_BEFORE}{sql}\n)")
        if what == "validate":
            return VALID_RELATION
        if what == "io":
            return plan_constant(self._io_plan(sql))
        row = self._connection.execute(explained_sql(sql, what)).fetchone()
        return plan_relation(str(row[1]) if row else "[]", self._secret_paths(), what)

    def _io_plan(self, sql: str) -> str:
        """Behind a barrier there is no file whose size could be told."""
        offered = self.offered_tables
        tables = (
            unknown_tables(one.key for one in offered)
            if self._barrier
            else tables_read(self._connection, offered, sql)
        )
        return io_plan(StatementEstimate((), tables), self._location.catalog, self._location.schema)

    def _relation_at(self, error: duckdb.Error) -> int:
        """Where the statement begins in what failed: it is parsed bare, bound in parentheses."""
        is_from_parser = isinstance(error, duckdb.ParserException | duckdb.SyntaxException)
        return 0 if is_from_parser else len(_BEFORE)

    def _table_names(self) -> Sequence[str]:
        return self._tables.names() if self._tables else []

    def _secret_paths(self) -> list[str]:
        paths = [self._data_dir, self._database, Path(self._limits.spill_dir).absolute()]
        return [str(path) for path in paths if path]


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


_ABOUT_TYPES = {FailureCode.TYPE_MISMATCH, FailureCode.NAME_NOT_FOUND}
