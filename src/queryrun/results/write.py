"""The pipeline of a result: rows → encoder → compression → encryption → store, in one pass."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.concurrent_copy import Copy
from queryrun.results.copy_direct import CopyReader, copy_direct
from queryrun.results.copy_pipe import copy_through_pipe
from queryrun.results.count import BatchCounter
from queryrun.results.encode import (
    FileLayout,
    copy_sql,
    header_line,
    names_clash,
    select_sql,
)
from queryrun.results.formats import ContentEncoding
from queryrun.results.output import DirectWrite, PipedWrite, digest_stored

if TYPE_CHECKING:
    from queryrun.engines.base import EngineSession, Rows
    from queryrun.results.compress import Chunks
    from queryrun.results.encode import CopySql
    from queryrun.results.request import Report, WriteRequest, WrittenResult
    from queryrun.results.store import ResultStore, ResultWriter, SharedFile

_DISK_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""How the engine reports them; EFBIG is the worker's own limit on files (see `local.py`)."""


def write_result(
    session: EngineSession, request: WriteRequest, store: ResultStore, report: Report
) -> WrittenResult:
    """Run the statement and commit its result under `request.file_key`; blocks until then.

    Raises `RunFailed` for every fault of the statement, the engine or the store; then nothing is
    left under the key. A result over a limit fails, it is never truncated.
    """
    report.stage("planning")
    rows = session.plan(request.sql, request.row_filter, request.name, request.values)
    writer = store.open(request.file_key)
    try:
        written = _Pipeline(session, rows, request, writer, report).write()
        session.verify_rows()
        report.written(written.rows, written.size_bytes)
        report.stage("committing")
        writer.commit()
        return replace(digest_stored(written, writer), columns=tuple(rows.columns))
    except BaseException:
        writer.abort()
        raise


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """What every step needs, and the three ways to write: directly, through a pipe, as Arrow."""

    session: EngineSession
    rows: Rows
    request: WriteRequest
    writer: ResultWriter
    report: Report

    def write(self) -> WrittenResult:
        request = self.request
        layout = FileLayout(request.content_type, request.column_separator, request.time_zone)
        max_rows = _max_copied_rows(request)
        query = select_sql(self.rows.relation, self.rows.columns, layout, max_rows)
        self.report.stage("executing")
        has_clash, spec = names_clash(self.rows.columns), request.content_type.spec
        if spec.copy_options is None or (has_clash and spec.clash_options is None):
            return self._write_arrow(query)
        sql = copy_sql(query, layout, self.session.output_path, has_clash=has_clash)
        if has_clash and spec.is_delimited:
            return self._write_piped(sql, header_line(self.rows.columns, layout.separator))
        file = self.writer.share(self.session.output_path) if _is_plain(request) else None
        return self._write_piped(sql) if file is None else self._write_direct(sql, file)

    def _write_direct(self, sql: CopySql, file: SharedFile) -> WrittenResult:
        """The engine writes the store's file itself; a reader digests and counts what it wrote."""
        output = DirectWrite(self.request, file.descriptor, self.report)
        with _engine_failures(self.session, sql), self._storage_failures():
            reader = CopyReader(output.consume, output.check_progress)
            is_sequential = self.request.content_type.spec.is_sequential
            copied = copy_direct(self._copy(sql), file, reader, is_sequential=is_sequential)
            return output.result(copied)

    def _write_piped(self, sql: CopySql, header: bytes = b"") -> WrittenResult:
        """The engine writes into a pipe; its output is compressed, encrypted and stored here."""
        output = self._piped()

        def consume(chunks: Chunks) -> None:
            output.consume(chain([header] if header else [], chunks))

        with _engine_failures(self.session, sql):
            return output.result(copy_through_pipe(self._copy(sql), consume))

    def _write_arrow(self, query: CopySql) -> WrittenResult:
        from queryrun.results.arrow import BATCH_WRITERS, batches_of

        output, counter = self._piped(), BatchCounter()
        names = [column.name for column in self.rows.columns]
        write = BATCH_WRITERS[self.request.content_type]
        with _engine_failures(self.session, query):
            output.consume(write(batches_of(self.rows.connection, query.text, names), counter))
        return output.result(counter.rows)

    def _piped(self) -> PipedWrite:
        spool = f"{self.session.output_path}.spool"
        return PipedWrite(self.request, self.writer, self.report, spool)

    def _copy(self, sql: CopySql) -> Copy:
        def run() -> int:
            copied = self.rows.connection.execute(sql.text).fetchone()
            return int(copied[0]) if copied else 0

        return Copy(self.session.output_path, run, self.session.interrupt)

    @contextlib.contextmanager
    def _storage_failures(self) -> Iterator[None]:
        """An engine error that names the result file is the store's fault, not the statement's."""
        try:
            yield
        except Exception as error:
            if isinstance(error, RunFailed) or self.session.output_path not in str(error):
                raise
            raise _storage_failure(str(error)) from error


def _is_plain(request: WriteRequest) -> bool:
    """Whether the engine's bytes are the file's. Bytes to be encrypted never touch a disk."""
    is_uncompressed = request.content_encoding is ContentEncoding.NONE
    return is_uncompressed and request.encryption_key is None


def _storage_failure(message: str) -> RunFailed:
    if any(words in message for words in _DISK_FULL):
        return RunFailed.of(FailureCode.STORAGE_FULL, "There is no space left for result files")
    return RunFailed.of(FailureCode.STORAGE_FAILED, "The result file could not be written")


def _max_copied_rows(request: WriteRequest) -> int:
    """One row over the limit, for formats whose rows cannot be counted in the bytes; else 0."""
    is_counted = request.content_type.spec.counter.is_exact
    return 0 if is_counted or not request.row_limit else request.row_limit + 1


@contextlib.contextmanager
def _engine_failures(session: EngineSession, sql: CopySql) -> Iterator[None]:
    """Only the session can map an engine's exception to a failure code."""
    try:
        yield
    except Exception as error:
        failure = session.failure_of(error, sql.relation_at)
        if failure is error:
            raise
        raise failure from error
