"""The protocol between a node and a catalog process."""

from __future__ import annotations

import msgspec

from queryrun.engines.base import ColumnInfo, TableFacts
from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame


class TableShape(msgspec.Struct, frozen=True):
    """A table; `columns` is None when they could not be read, or were left out."""

    name: str
    columns: tuple[ColumnInfo, ...] | None
    facts: TableFacts = TableFacts()
    problem: str = ""
    """Why the columns could not be read, in words for the caller."""


class TablesRequest(Frame, frozen=True, tag="tables"):
    """Node to catalog: list all tables, or only describe `table`."""

    source: SourceSpec
    table: str | None = None
    skipped: tuple[str, ...] = ()
    """Tables that need not be described: the node knows them."""


class TablesResponse(Frame, frozen=True, tag="shapes"):
    """Catalog to node: first all names, then a frame per table, then one with `is_last`.

    `problem`: why there is no list; `code` is a `FailureCode`.
    """

    names: tuple[str, ...] = ()
    """In the order in which they are described."""
    tables: tuple[TableShape, ...] = ()
    code: str = ""
    problem: str | None = None
    is_last: bool = False
