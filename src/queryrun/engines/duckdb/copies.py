"""Converts a table's text files into copies, in a process that no statement reaches."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import duckdb

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.config import limited
from queryrun.engines.duckdb.failures import OUT_OF_MEMORY
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.directory import DataDirectory
from queryrun.tables.formats import FORMATS
from queryrun.tables.snapshot import Snapshot
from queryrun.tables.text.context import TextContext
from queryrun.tables.text.requests import CopiesRequest, digest_of


def write_copies(options: Mapping[str, str], limits: EngineLimits, request: CopiesRequest) -> None:
    """See `base.CopiesWriter`. `options` are those of `session.open_session`."""
    from queryrun.tables.text.read import text_kinds  # its libraries start threads

    directory = DataDirectory(Path(options["data_dir"]).absolute())
    key = next((key for key in directory.candidates() if digest_of(key) == request.table), None)
    table = directory.find(key) if key is not None else None
    if table is None or not FORMATS[table.format].is_text:
        return
    context = _context(options, limits, request)
    with contextlib.closing(Snapshot(directory, Path(limits.spill_dir), context)) as snapshot:
        try:
            text_kinds(snapshot.table(table.name))
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise RunFailed.of(FailureCode.MEMORY_LIMIT_EXCEEDED, OUT_OF_MEMORY) from error


def _context(
    options: Mapping[str, str], limits: EngineLimits, request: CopiesRequest
) -> TextContext:
    context = TextContext(Path(options["copies_dir"]).absolute(), config=limited(limits))
    if "copies_bytes" in options:
        context.max_copies_bytes = int(options["copies_bytes"])
    if request.columns is not None:
        context.column_digests = frozenset(request.columns)
    return context
