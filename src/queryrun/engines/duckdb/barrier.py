"""The barrier between a client that is restricted to orgs and other orgs' rows.

DuckDB evaluates a caller's predicate wherever its optimizer likes, before a view's own filter too:
so a filter hides rows from results, not from errors, memory, statistics or time. Here the rows that
may be seen are copied by a statement of ours into a fresh instance, which then loses access to
the data, and only then is the caller's statement bound there. It is planned and run in a database
in which hidden rows do not exist, whatever the optimizer does.

What it costs: the permitted rows of the named tables, those without an org column too, are held in
the engine's memory or spill, in the columns that the statement can name. The restriction itself is
a plain filter on a scan, so Parquet files are still pruned by it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.config import ATTACHED
from queryrun.engines.duckdb.functions.install import InstalledFunctions
from queryrun.engines.duckdb.instance import lock, open_instance, set_up_connection
from queryrun.engines.duckdb.tables import OfferedTable
from queryrun.sql.guard.tree import Tree
from queryrun.tables.database import AttachedDatabase
from queryrun.tables.sql import quoted_name

_NO_COLUMN = 'true AS "no column"'
"""What is copied for `count(*)`, which asks how many rows there are: a table has columns."""


class Barrier:
    """The instance of one statement. `connection` is where the statement is bound and run."""

    def __init__(self, limits: EngineLimits, time_zone: str) -> None:
        self._limits = limits
        self._instance = open_instance(limits)
        self.functions = InstalledFunctions()
        self.connection = self._instance.cursor()
        set_up_connection(self.connection, time_zone)

    def install_functions(self, sql: str) -> None:
        """Make known the worker's functions that the statement calls."""
        self.functions.install(self._instance, sql)

    def copy(
        self,
        database: Path | None,
        offered: Sequence[OfferedTable],
        named: Collection[str],
        tree: Tree,
        sql: str,
    ) -> None:
        """Make the tables: with their rows those in `named`, empty those that are only listed.

        `tree` and `sql` are the caller's statement: of the tables that it names only columns that
        it can mean are copied. `database` is the `.duckdb` file that has them, if one does.
        Interruptible; takes as long as reading the tables does. Raises `duckdb.Error` for what
        cannot be read, `RunFailed` (`data_changed`) for a database that was written meanwhile.
        """
        attached = AttachedDatabase(self._instance, database, ATTACHED) if database else None
        try:
            for table in offered:
                self._copy(table, needed_columns(table, tree, sql), table.key in named)
            if attached:
                attached.verify()
                self._instance.execute(f"DETACH {ATTACHED}")
        finally:
            if attached:
                attached.close()

    def close_off(self, pipe: str) -> None:
        """Take away every way to the data: nothing but the pipe for the result can be opened."""
        lock(self._instance, [], [pipe])

    def close(self) -> None:
        """Idempotent; the copy goes with it."""
        self.connection.close()
        self._instance.close()

    def _copy(self, table: OfferedTable, columns: Sequence[str], with_rows: bool) -> None:
        """A table that is only listed needs its columns all the same."""
        listed = ", ".join(map(quoted_name, columns)) or _NO_COLUMN
        condition = f" WHERE {table.condition}" if table.condition else ""
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {quoted_name(table.name)} AS "
            + (
                f"SELECT {listed} FROM {table.source}{condition}"
                if with_rows
                else f"SELECT * FROM {table.source} LIMIT 0"
            )
        )


def needed_columns(table: OfferedTable, tree: Tree, sql: str) -> Sequence[str]:
    """The columns that a statement can mean: rather too many than one too few.

    All where it can mean columns without naming them (`*`, whole rows, NATURAL, positions);
    otherwise those whose names appear anywhere in its text.
    """
    if tree.means_unnamed_columns:
        return table.columns
    text = sql.lower()
    return [name for name in table.columns if not _is_plain(name) or name.lower() in text]


def _is_plain(name: str) -> bool:
    """Whether the name stands in a text as it is, but for the case of its letters."""
    return name.isascii() and '"' not in name
