"""The catalog process: lists the tables of one source for one entity, once, and exits.

One request, one process: the sandbox lets it read that entity's data and nothing else, so it can
serve no other entity afterwards. Forking it costs a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
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
"""Of one list. The columns of further tables are left out, so that a list stays below 8 MB."""

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
        for response in list_tables(request, open_catalog):
            channel.send(response)
    os._exit(0)


def sandbox_policy(source: SourceSpec) -> SandboxPolicy:
    """The entity's data to read, its copies to keep, or the network for a remote engine."""
    return SandboxPolicy(
        read=source.paths,
        read_write=source.written_paths,
        network=source.kind.is_remote,
    )


def list_tables(request: TablesRequest, open_catalog: OpenCatalog) -> Iterator[TablesResponse]:
    """The names, then the tables one by one, or why there is no list.

    One frame per table: whatever happens to one of them, the node knows those before it.
    """
    try:
        with contextlib.closing(open_catalog(request.source)) as catalog:
            yield from _responses(request, catalog)
    except RunFailed as failed:
        yield TablesResponse(
            code=failed.failure.code.value, problem=failed.failure.message, is_last=True
        )


def _responses(request: TablesRequest, catalog: Catalog) -> Iterator[TablesResponse]:
    """Beyond `MAX_COLUMNS` tables keep their names alone, so that a node's memory is bounded."""
    if request.table is not None:
        name = request.table.lower()
        yield TablesResponse(names=(name,))
        found = _shape(catalog, name, request.source)
        yield TablesResponse(tables=(found,) if found else (), is_last=True)
        return
    skipped = set(request.skipped)
    names = [name for name in catalog.tables() if name not in skipped]
    yield TablesResponse(names=tuple(names))
    columns = 0
    for name in names:
        shape = (
            _shape(catalog, name, request.source)
            if columns < MAX_COLUMNS
            else TableShape(name, None)
        )
        if shape is not None:
            columns += len(shape.columns or ())
            yield TablesResponse(tables=(shape,))
    yield TablesResponse(is_last=True)


def _shape(catalog: Catalog, name: str, source: SourceSpec) -> TableShape | None:
    """A table that cannot be read keeps its name; None for one that does not exist.

    What fails while files are read is the fault of the table that they are of; a remote engine
    may fail for reasons that all of its tables share.
    """
    try:
        columns = catalog.columns(name)
    except RunFailed as failed:
        code = failed.failure.code
        if source.kind.is_remote and code not in _OF_ONE_TABLE:
            raise
        problem = _UNKNOWN if code is FailureCode.INTERNAL_ERROR else failed.failure.message
        return TableShape(name, None, catalog.facts(name), problem)
    return None if columns is None else TableShape(name, tuple(columns), catalog.facts(name))


_UNKNOWN = "its data cannot be described; the log of the node can say why"
