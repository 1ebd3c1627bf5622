"""The protocol between a node and a catalog process."""

from __future__ import annotations

import msgspec

from queryrun.engines.base import ColumnInfo
from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame


class TableShape(msgspec.Struct, frozen=True):
    """A table; `columns` is None when they could not be read, or were left out."""

    name: str
    columns: tuple[ColumnInfo, ...] | None


class TablesRequest(Frame, frozen=True, tag="tables"):
    """Node to catalog: list all tables, or only describe `table`."""

    source: SourceSpec
    table: str | None = None


class TablesResponse(Frame, frozen=True, tag="shapes"):
    """Catalog to node. `problem`: why there is no list; `code` is a `FailureCode`."""

    tables: tuple[TableShape, ...] = ()
    code: str = ""
    problem: str | None = None
