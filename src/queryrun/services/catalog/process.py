"""The catalog process: lists the tables of one source for one entity, once, and exits.

One request, one process: the sandbox lets it read that entity's data and nothing else, so it can
serve no other entity afterwards. Forking it costs a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import NoReturn

import msgspec

from queryrun.engines.base import Catalog
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, RunFailed
from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import limit_memory, name_process
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.services.catalog.frames import TableShape, TablesRequest, TablesResponse

MEMORY_BYTES = 2 * 1024**3
"""Far more than names and types need; a file that makes the engine use it crashes the process."""
MAX_COLUMNS = 50_000
"""In one response. The columns of further tables are left out: a response stays below 8 MB."""

_OF_ONE_TABLE = {
    FailureCode.DATA_UNREADABLE,
    FailureCode.DATA_INVALID,
    FailureCode.DATA_CHANGED,
}

OpenCatalog = Callable[[SourceSpec], Catalog]
"""Opens the source's tables. Raises `RunFailed` when it cannot."""


def run_catalog(control: socket.socket, open_catalog: OpenCatalog) -> NoReturn:
    """Respond to one request. Any error stops the process, which the node notices."""
    channel = Channel(control, msgspec.msgpack.Decoder(TablesRequest).decode)
    request = channel.receive()
    if request is not None:
        limit_memory(MEMORY_BYTES)
        apply_sandbox(sandbox_policy(request.source))
        name_process("qr:catalog")
        channel.send(list_tables(request, open_catalog))
    os._exit(0)


def sandbox_policy(source: SourceSpec) -> SandboxPolicy:
    """The entity's data to read, its copies to keep, or the network for a remote engine."""
    return SandboxPolicy(
        read=source.paths,
        read_write=source.written_paths,
        network=source.kind.is_remote,
    )


def list_tables(request: TablesRequest, open_catalog: OpenCatalog) -> TablesResponse:
    """The tables of the source, or why there is no list."""
    try:
        with contextlib.closing(open_catalog(request.source)) as catalog:
            if request.table is None:
                return TablesResponse(tuple(_shapes(catalog)))
            found = _shape(catalog, request.table.lower())
            return TablesResponse((found,) if found else ())
    except RunFailed as failed:
        return TablesResponse(code=failed.failure.code.value, problem=failed.failure.message)


def _shapes(catalog: Catalog) -> list[TableShape]:
    """Beyond `MAX_COLUMNS` tables keep their names alone, so that the frame stays bounded."""
    found: list[TableShape] = []
    columns = 0
    for name in catalog.tables():
        shape = _shape(catalog, name) if columns < MAX_COLUMNS else TableShape(name, None)
        if shape is not None:
            columns += len(shape.columns or ())
            found.append(shape)
    return found


def _shape(catalog: Catalog, name: str) -> TableShape | None:
    """A table that cannot be read keeps its name; None for one that does not exist."""
    try:
        columns = catalog.columns(name)
    except RunFailed as failed:
        if failed.failure.code in _OF_ONE_TABLE:
            return TableShape(name, None)
        raise
    return None if columns is None else TableShape(name, tuple(columns))
