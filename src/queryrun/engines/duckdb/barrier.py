"""The barrier between a client that is restricted to orgs and other orgs' rows.

DuckDB evaluates a caller's predicate wherever its optimizer likes, before a view's own filter too:
so a filter hides rows from results, not from errors, memory, statistics or time. Here the rows that
may be seen are copied by a statement of ours into a fresh instance, which then loses access to
the data, and only then is the caller's statement bound there. It is planned and run in a database
in which hidden rows do not exist, whatever the optimizer does.

What it costs: the permitted rows of the named tables are held in the engine's memory or spill,
in the columns that the statement can name. The restriction itself is a plain filter on a scan, so
Parquet files are still pruned by it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.instance import (
    ATTACHED,
    attach,
    lock,
    open_instance,
    set_up_connection,
)
from queryrun.engines.duckdb.tables import OfferedTable
from queryrun.sql.tree import Tree
from queryrun.tables.model import table_key
from queryrun.tables.snapshot import Snapshot
from queryrun.tables.sql import quoted_name, view_sql

_NO_COLUMN = 'true AS "no column"'
"""What is copied for `count(*)`, which asks how many rows there are: a table has columns."""


class Barrier:
    """The instance of one statement. `connection` is where the statement is bound and run."""

    def __init__(self, limits: EngineLimits, time_zone: str) -> None:
        self._limits = limits
        self._instance = open_instance(limits)
        self.connection = self._instance.cursor()
        set_up_connection(self.connection, time_zone)

    def copy(
        self, offered: Sequence[OfferedTable], named: Collection[str], tree: Tree, sql: str
    ) -> None:
        """Make the tables: with their rows those in `named`, empty those that are only listed.

        `tree` and `sql` are the caller's statement: of the tables that it names only columns that
        it can mean are copied. Interruptible; takes as long as reading the tables does. Raises
        `duckdb.Error` for what cannot be read.
        """
        for table in offered:
            if table.key not in named:
                self._create(table, "*", "false")
            elif table.is_restricted or table.is_in_database:
                columns = map(quoted_name, needed_columns(table, tree, sql))
                self._create(table, ", ".join(columns) or _NO_COLUMN, table.condition)
            else:
                self.connection.execute(view_sql(table.name, table.source, table.condition))

    def copy_from_database(
        self,
        database: Path,
        offered: Sequence[OfferedTable],
        named: Collection[str],
        tree: Tree,
        sql: str,
    ) -> None:
        """The same from a `.duckdb` file, which is attached for this long only."""
        attach(self._instance, database)
        self.copy(offered, named, tree, sql)
        self._instance.execute(f"DETACH {ATTACHED}")

    def close_off(
        self, snapshot: Snapshot | None, offered: Sequence[OfferedTable], pipe: str
    ) -> None:
        """Take away every way to hidden rows. Afterwards unrestricted files alone are readable.

        Raises `RunFailed` (`data_changed`) when a copied file was written to meanwhile.
        """
        hidden = {table.key for table in offered if table.is_restricted}
        paths = [pipe]
        if snapshot:
            for table in snapshot.tables():
                if table_key(table.table.name) in hidden:
                    snapshot.release(table)
                else:
                    paths += table.paths
        # links to the files of partitions lie there
        directories = [f"{Path(self._limits.spill_dir).absolute()}/"] if len(paths) > 1 else []
        lock(self._instance, directories, paths)

    def close(self) -> None:
        """Idempotent; the copy goes with it."""
        self.connection.close()
        self._instance.close()

    def _create(self, table: OfferedTable, columns: str, condition: str) -> None:
        where = f" WHERE {condition}" if condition else ""
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {quoted_name(table.name)} AS "
            f"SELECT {columns} FROM {table.source}{where}"
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
