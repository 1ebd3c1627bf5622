"""The catalog process: says which tables a source has for one entity, once, and ends.

One question, one process: it lives behind walls that let it read that entity's data and nothing
else, so it can serve nobody else afterwards. Forking it costs a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import NoReturn

import msgspec

from queryrun.engines.base import Catalog, ColumnInfo
from queryrun.errors import FailureCode, RunFailed
from queryrun.worker.channel import Channel
from queryrun.worker.child import limit_memory, name_process
from queryrun.worker.frames import Frame, SourceSpec
from queryrun.worker.sandbox import Walls, confine

MEMORY_BYTES = 2 * 1024**3
"""Far more than names and types take; a file that makes the engine want it ends the process."""
MOST_COLUMNS = 50_000
"""In one answer. The columns of tables beyond are left out: an answer stays below 8 MB."""

OpenCatalog = Callable[[SourceSpec], Catalog]
"""Opens the source's tables. Raises `RunFailed` when it cannot."""


class TableShape(msgspec.Struct, frozen=True):
    """A table; `columns` is None when they could not be read, or were left out."""

    name: str
    columns: tuple[ColumnInfo, ...] | None


class TablesAsked(Frame, frozen=True, tag="tables"):
    """Node to catalog: which tables are there? Or only: what is in this one?"""

    source: SourceSpec
    table: str | None = None


class TablesAnswered(Frame, frozen=True, tag="shapes"):
    """Catalog to node. `problem`: why nothing can be said; `code` is a `FailureCode`."""

    tables: tuple[TableShape, ...] = ()
    code: str = ""
    problem: str | None = None


def run_catalog(control: socket.socket, open_catalog: OpenCatalog) -> NoReturn:
    """Answer the one question. Whatever breaks ends the process, and the node knows by that."""
    channel = Channel(control)
    body = channel.receive_body()
    if body is not None:
        asked = msgspec.msgpack.decode(body, type=TablesAsked)
        limit_memory(MEMORY_BYTES)
        confine(walls_of(asked.source))
        name_process("qr:catalog")
        channel.send(answer(asked, open_catalog))
    os._exit(0)


def walls_of(source: SourceSpec) -> Walls:
    """The entity's data to read, or the network for an engine elsewhere; nothing to write."""
    return Walls(read=source.places, network=source.kind.is_remote)


def answer(asked: TablesAsked, open_catalog: OpenCatalog) -> TablesAnswered:
    """What the source says, or why it cannot."""
    try:
        with contextlib.closing(open_catalog(asked.source)) as catalog:
            if asked.table is None:
                return TablesAnswered(tuple(_shapes(catalog)))
            found = _shape(catalog, asked.table.lower())
            return TablesAnswered((found,) if found else ())
    except RunFailed as failed:
        return TablesAnswered(code=failed.failure.code.value, problem=failed.failure.message)


def _shapes(catalog: Catalog) -> list[TableShape]:
    found: list[TableShape] = []
    columns = 0
    for name in catalog.tables():
        shape = _shape(catalog, name) if columns < MOST_COLUMNS else TableShape(name, None)
        if shape is not None:
            columns += len(shape.columns or ())
            found.append(shape)
    return found


def _shape(catalog: Catalog, name: str) -> TableShape | None:
    """A table that cannot be read keeps its name; one that is not there (any more) is None."""
    try:
        columns = catalog.columns(name)
    except RunFailed as failed:
        if failed.failure.code is FailureCode.DATA_UNREADABLE:
            return TableShape(name, None)
        raise
    return None if columns is None else TableShape(name, tuple(columns))
