"""Which tables and columns a statement is given, and what it may learn of their faults."""

from __future__ import annotations

from queryrun.engines.base import RowFilter
from queryrun.engines.duckdb.tables import DELETED, Tables
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.compile.reading import Parsed
from queryrun.sql.guard.tree import Tree

_ABOUT_DATA = {FailureCode.DATA_INVALID, FailureCode.DATA_UNREADABLE}
_PLAIN_SCHEMAS = {"", "information_schema"}


def columns_read(parsed: Parsed, row_filter: RowFilter) -> frozenset[str] | None:
    """The columns that a statement can read; None for all. A barrier copies them all."""
    if parsed.needs.names is None or row_filter.is_by_org:
        return None
    return parsed.needs.names | {DELETED}


def offer_tables(tables: Tables, tree: Tree) -> None:
    """Make views for the tables that the statement names; for all when it asks which exist."""
    names = [named.name for named in tree.tables]
    if tree.specials or any(t.schema.lower() == "information_schema" for t in tree.tables):
        tables.offer_all()
    tables.offer(names)
    tables.hide_deleted(names, tree.columns)


def refuse_ways_round(tree: Tree, row_filter: RowFilter) -> None:
    """A name with its schema in front would reach past the view that keeps other orgs' rows out."""
    around = [t.name for t in tree.tables if t.schema.lower() not in _PLAIN_SCHEMAS]
    if row_filter.is_by_org and around:
        message = f"Name the table '{around[0]}' without its schema: rows are restricted by org"
        raise RunFailed.of(FailureCode.NOT_ALLOWED, message)


def without_values(failure: BaseException, row_filter: RowFilter) -> BaseException:
    """A fault in a file may be in a row that this client does not see."""
    if not isinstance(failure, RunFailed) or failure.failure.code not in _ABOUT_DATA:
        return failure
    if not row_filter.is_by_org:
        return failure
    message = "A table's data could not be read; the operator can see why"
    return RunFailed(Failure(failure.failure.code, message))
