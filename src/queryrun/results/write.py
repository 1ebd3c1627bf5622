"""The whole way of a result: rows → encoder → compression → encryption → store, in one pass."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from queryrun.engines.base import RowFilter
from queryrun.errors import FailureCode, RunFailed
from queryrun.results.concurrent_copy import Copy
from queryrun.results.copy_direct import CopyReader, copy_direct
from queryrun.results.copy_pipe import copy_through_pipe
from queryrun.results.count import BatchCounter, counter_for
from queryrun.results.encode import APPENDED, Format, copy_sql, select_sql
from queryrun.results.output import DirectWrite, PipedWrite, WrittenResult

if TYPE_CHECKING:
    from queryrun.engines.base import EngineSession, Rows
    from queryrun.results.encode import CopySql
    from queryrun.results.store import ResultStore, ResultWriter, SharedFile

_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""How the engine reports them; the last is the worker's own limit on files (see `local.py`)."""


class Report(Protocol):
    """Where a running statement says how far it is. Called from two threads; must be quick."""

    def stage(self, stage: str) -> None:
        """The attempt has come this far: `planning`, `executing`, `writing`, `committing`."""
        ...

    def written(self, rows: int, size_bytes: int) -> None:
        """So many bytes so far, and about so many rows; those of binary formats stay 0 until the
        end, and the end's number is exact."""
        ...


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One statement, and what its file is to be. Limits of 0 are none."""

    statement: str = field(repr=False)
    file_key: str
    content_type: str
    content_encoding: str = "none"
    column_separator: str | None = None
    encryption_key: str | None = field(default=None, repr=False)
    row_limit: int = 0
    size_limit_bytes: int = 0
    time_zone: str = "UTC"
    row_filter: RowFilter = field(default_factory=RowFilter)
    name: str = ""
    """What an engine elsewhere knows the work by (`engines.base.work_name`)."""


def write_result(
    session: EngineSession, job: WriteRequest, store: ResultStore, report: Report
) -> WrittenResult:
    """Run the statement and commit its result under `job.file_key`; blocks until that is done.

    Raises `RunFailed` for everything that is the statement's, the engine's or the store's fault;
    then nothing is left under the key. A result over a limit fails, it is never cut short.
    """
    report.stage("planning")
    rows = session.plan(job.statement, job.row_filter, job.name)
    writer = store.open(job.file_key)
    try:
        written = _Pipeline(session, rows, job, writer, report).write()
        report.written(written.rows, written.size_bytes)
        report.stage("committing")
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return written


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """What every step needs, and the three ways there are."""

    session: EngineSession
    rows: Rows
    job: WriteRequest
    writer: ResultWriter
    report: Report

    def write(self) -> WrittenResult:
        job = self.job
        form = Format(job.content_type, job.column_separator, job.time_zone)
        query = select_sql(self.rows.relation, self.rows.columns, form, _most_rows(job))
        self.report.stage("executing")
        if job.content_type == "arrow":
            return self._arrow(query)
        sql = copy_sql(query, form, self.session.output_path)
        file = self.writer.share(self.session.output_path) if _is_plain(job) else None
        return self._piped(sql) if file is None else self._followed(sql, file)

    def _followed(self, sql: CopySql, file: SharedFile) -> WrittenResult:
        """The engine writes the store's file by itself; we only read along."""
        output = DirectWrite(self.job, file.descriptor, self.report)
        with _failures(self.session, sql), self._storage_failures():
            reader = CopyReader(output.take, output.watch)
            is_appended = self.job.content_type in APPENDED
            copied = copy_direct(self._copy(sql), file, reader, is_appended=is_appended)
            return output.result(copied)

    def _piped(self, sql: CopySql) -> WrittenResult:
        """The engine writes into a pipe; what comes out of it is packed and stored by us."""
        output = PipedWrite(self.job, self.writer, self.report)
        with _failures(self.session, sql):
            return output.result(copy_through_pipe(self._copy(sql), output.take))

    def _arrow(self, query: CopySql) -> WrittenResult:
        from queryrun.results.arrow import arrow_stream

        output, batches = PipedWrite(self.job, self.writer, self.report), BatchCounter()
        with _failures(self.session, query):
            output.take(arrow_stream(self.rows.connection, query.text, batches))
        return output.result(batches.rows)

    def _copy(self, sql: CopySql) -> Copy:
        def run() -> int:
            copied = self.rows.connection.execute(sql.text).fetchone()
            return int(copied[0]) if copied else 0

        return Copy(self.session.output_path, run, self.session.interrupt)

    @contextlib.contextmanager
    def _storage_failures(self) -> Iterator[None]:
        """An error of the engine that names the result file is the store's, not the statement's."""
        try:
            yield
        except Exception as error:
            if isinstance(error, RunFailed) or self.session.output_path not in str(error):
                raise
            raise _storage_failure(str(error)) from error


def _is_plain(job: WriteRequest) -> bool:
    """Whether the engine's bytes are the file's. Those to be encrypted never touch a disk."""
    return job.content_encoding == "none" and job.encryption_key is None


def _storage_failure(said: str) -> RunFailed:
    if any(words in said for words in _FULL):
        return RunFailed.of(FailureCode.STORAGE_FULL, "There is no space left for result files")
    return RunFailed.of(FailureCode.STORAGE_FAILED, "The result file could not be written")


def _most_rows(job: WriteRequest) -> int:
    """Formats whose rows we cannot count as they pass end by themselves one row too late."""
    is_counted = counter_for(job.content_type).is_exact
    return 0 if is_counted or not job.row_limit else job.row_limit + 1


@contextlib.contextmanager
def _failures(session: EngineSession, sql: CopySql) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        failure = session.failure_of(error, sql.relation_at)
        if failure is error:
            raise
        raise failure from error
