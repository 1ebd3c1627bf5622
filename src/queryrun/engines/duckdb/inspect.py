"""The files of an entity as an operator sees them: drafts of definitions, and every fault."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from queryrun.engines.base import CheckedTable, EngineLimits, ListedTable
from queryrun.engines.duckdb.catalog import MEMORY_BYTES
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import ConfigurationError, RunFailed
from queryrun.sql.duckdb.types import from_duckdb
from queryrun.tables.directory import DataDirectory
from queryrun.tables.formats import FORMATS
from queryrun.tables.model import Table, table_key
from queryrun.tables.sql import quoted_name

SPILL_BYTES = 20 * 1024**3


class DuckDBInspector:
    """Reads an entity's files for `queryrun tables infer` and `check` (`base.Inspector`)."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def tables(self) -> Iterator[ListedTable]:
        """See `base.Inspector`. The files of one table are open at a time."""
        with _session(self._data_dir) as session:
            for table in DataDirectory(self._data_dir).tables():
                problem = table.problem
                offered = session.offered()
                facts = offered.facts(table_key(table.name))
                if not problem and facts.files is None:
                    problem = _problem(session, table)
                session.release_files()
                yield ListedTable(table.name, facts, problem)

    def ignored(self) -> Mapping[str, str]:
        """See `base.Inspector`."""
        return DataDirectory(self._data_dir).ignored

    def check(self, names: Sequence[str]) -> Iterator[CheckedTable]:
        """Read all values of these tables, or of all."""
        directory = DataDirectory(self._data_dir)
        with _session(self._data_dir) as session:
            for table in _chosen(directory, names):
                yield _checked(session, table)

    def draft(self, name: str) -> str:
        """A section for tables.toml with what has been found out about a table."""
        table = _chosen(DataDirectory(self._data_dir), [name])[0]
        with _session(self._data_dir) as session:
            columns = _columns(session, table)
        return _section(table, columns)


def _problem(session: DuckDBSession, table: Table) -> str:
    """Why a table has no facts, although nothing is known to be wrong with it."""
    try:
        session.offered().offer([table.name])
    except (duckdb.Error, RunFailed) as error:
        return _message(session, error)
    return ""


def _section(table: Table, columns: Sequence[tuple[str, str]]) -> str:
    is_plain = table.name.isidentifier() and table.name.isascii()
    key = table.name if is_plain else f'"{table.name}"'
    lines = [f"[tables.{key}]", f'format = "{table.format}"']
    if FORMATS[table.format].is_text and table.format != "json":
        lines.append('# delimiter = ","  header = true  encoding = "utf-8"  nulls = ["N/A"]')
        lines.append('# decimal_comma = true  date_format = "%d/%m/%Y"  time_zone = "UTC"')
    lines += ["", f"[tables.{key}.columns]"]
    for column, kind in columns:
        quoted = '"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'
        lines.append(f"{quoted} = {kind}" if kind else f"# {quoted}: keeps the type it has")
    return "\n".join(lines)


def _chosen(directory: DataDirectory, names: Sequence[str]) -> list[Table]:
    if not names:
        return directory.tables()
    found = []
    for name in names:
        table = directory.find(name)
        if table is None:
            raise ConfigurationError(f"there is no table {name!r} in the data directory")
        found.append(table)
    return found


@contextlib.contextmanager
def _session(data: Path) -> Iterator[DuckDBSession]:
    """Copies go to a directory that is removed afterwards: the server's own stay its own."""
    with tempfile.TemporaryDirectory(prefix="queryrun-") as made:
        spill, copies = Path(made, "spill"), Path(made, "copies")
        spill.mkdir()
        copies.mkdir()
        options = {"data_dir": str(data), "dialect": "trino", "copies_dir": str(copies)}
        limits = EngineLimits(8 * MEMORY_BYTES, 2, str(spill), SPILL_BYTES)
        session = open_session(options, limits)
        try:
            yield session
        finally:
            session.close()


def _checked(session: DuckDBSession, table: Table) -> CheckedTable:
    """Every column is read by itself, so that a fault of one does not hide those of others."""
    faults: list[str] = []
    rows = None
    try:
        offered = session.offered()
        offered.offer([table.name])
        columns = [column.name for column in offered.columns(table.name)]
    except (duckdb.Error, RunFailed) as error:
        return CheckedTable(table.name, None, (_message(session, error),), table.warnings)
    for column in columns:
        counted = f"count(*), count(hash({quoted_name(column)}))"
        sql = f"SELECT {counted} FROM {quoted_name(table.name)}"
        try:
            rows = int(session.connection.execute(sql).fetchall()[0][0])
        except duckdb.Error as error:
            faults.append(_message(session, error))
    return CheckedTable(table.name, rows, tuple(dict.fromkeys(faults)), table.warnings)


def _message(session: DuckDBSession, error: Exception) -> str:
    failure = error if isinstance(error, RunFailed) else session.failure_of(error)
    return failure.failure.message if isinstance(failure, RunFailed) else str(failure)


def _columns(session: DuckDBSession, table: Table) -> list[tuple[str, str]]:
    """Names and types as TOML has them; an empty type for one that a definition cannot name."""
    try:
        offered = session.offered()
        offered.offer([table.name])
        columns = offered.columns(table.name)
        text_kinds = offered.text_kinds(table.name)
    except duckdb.Error as error:
        raise session.failure_of(error) from error
    return [
        (column.name, _definable(column.engine_type, text_kinds.get(column.name.lower(), "")))
        for column in columns
    ]


_SLASHED = {"DATE/d": "%d/%m/%Y", "DATE/m": "%m/%d/%Y"}


def _definable(engine_type: str, text_kind: str) -> str:
    found = from_duckdb(engine_type)
    if found is None or found[0].parts:
        return ""
    if text_kind in _SLASHED:
        return f'{{ type = "date", format = "{_SLASHED[text_kind]}" }}'
    name = str(found[0])
    return f'"{name.replace("(6)", "") if name.startswith("timestamp") else name}"'
