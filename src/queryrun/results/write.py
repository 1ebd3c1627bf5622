"""The whole way of a result: rows → encoder → compression → encryption → store, in one pass."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from queryrun.engines.base import Visible
from queryrun.errors import FailureCode, RunFailed
from queryrun.results.compress import Pieces, compressed
from queryrun.results.count import BatchCounter, counter_for
from queryrun.results.encode import Format, copy_sql, select_sql
from queryrun.results.encrypt import encrypted, parse_key
from queryrun.results.names import member_name
from queryrun.results.pipe import Copy, copy_through

if TYPE_CHECKING:
    from queryrun.engines.base import EngineSession, Rows
    from queryrun.results.encode import CopySql
    from queryrun.results.store import ResultStore, ResultWriter


class Report(Protocol):
    """Where a running statement says how far it is. Called from two threads; must be quick."""

    def stage(self, stage: str) -> None:
        """The attempt has come this far: `planning`, `executing`, `writing`, `committing`."""
        ...

    def written(self, rows: int, size_bytes: int) -> None:
        """So many rows and bytes so far; rows stay 0 for binary formats until the end."""
        ...


@dataclass(frozen=True, slots=True)
class ResultJob:
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
    visible: Visible = field(default_factory=Visible)
    name: str = ""
    """What an engine elsewhere knows the work by (`engines.base.work_name`)."""


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """A committed file: its true row count, and size and SHA-256 of the bytes as stored."""

    rows: int
    size_bytes: int
    sha256: str


def write_result(
    session: EngineSession, job: ResultJob, store: ResultStore, report: Report
) -> WrittenResult:
    """Run the statement and commit its result under `job.file_key`; blocks until that is done.

    Raises `RunFailed` for everything that is the statement's, the engine's or the store's fault;
    then nothing is left under the key. A result over a limit fails, it is never cut short.
    """
    report.stage("planning")
    rows = session.plan(job.statement, job.visible, job.name)
    writer = store.open(job.file_key)
    try:
        written = _write(session, rows, job, _Output(job, writer, report))
        report.stage("committing")
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return written


def _write(session: EngineSession, rows: Rows, job: ResultJob, output: _Output) -> WrittenResult:
    form = Format(job.content_type, job.column_separator, job.time_zone)
    query = select_sql(rows.relation, rows.columns, form, most_rows=_most_rows(job))
    output.report.stage("executing")
    if job.content_type == "arrow":
        return output.result(_write_arrow(session, rows, query, output))
    sql = copy_sql(query, form, session.output_path)
    return output.result(_write_copied(session, rows, sql, output))


def _most_rows(job: ResultJob) -> int:
    """Formats whose rows we cannot count as they pass end by themselves one row too late."""
    is_counted = counter_for(job.content_type).is_exact
    return 0 if is_counted or not job.row_limit else job.row_limit + 1


def _write_copied(session: EngineSession, rows: Rows, sql: CopySql, output: _Output) -> int:
    def run() -> int:
        copied = rows.connection.execute(sql.text).fetchone()
        return int(copied[0]) if copied else 0

    copy = Copy(session.output_path, run, session.interrupt)
    with _failures(session, sql):
        return copy_through(copy, output.take)


def _write_arrow(session: EngineSession, rows: Rows, query: CopySql, output: _Output) -> int:
    from queryrun.results.arrow import arrow_stream

    batches = BatchCounter()
    with _failures(session, query):
        output.take(arrow_stream(rows.connection, query.text, batches))
    return batches.rows


@contextlib.contextmanager
def _failures(session: EngineSession, sql: CopySql) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        failure = session.failure_of(error, sql.relation_at)
        if failure is error:
            raise
        raise failure from error


class _Output:
    """The second half of the way: counts, packs, encrypts, digests and stores what comes by."""

    def __init__(self, job: ResultJob, writer: ResultWriter, report: Report) -> None:
        self.report = report
        self._job = job
        self._writer = writer
        self._key = parse_key(job.encryption_key) if job.encryption_key else None
        self._counter = counter_for(job.content_type)
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def take(self, pieces: Pieces) -> None:
        """Bring all pieces to the store. Raises `RunFailed` as soon as a limit is passed."""
        name = member_name(self._job.file_key)
        packed = compressed(self._counted(pieces), self._job.content_encoding, name)
        for piece in encrypted(packed, self._key):
            self._size_bytes += len(piece)
            self._check_size()
            self._writer.write(piece)
            self._digest.update(piece)

    def result(self, rows: int) -> WrittenResult:
        """What was written, once the engine has said how many rows there were."""
        self._check_rows(rows)
        self._check_count(rows)
        self.report.written(rows, self._size_bytes)
        return WrittenResult(rows, self._size_bytes, self._digest.hexdigest())

    def _counted(self, pieces: Pieces) -> Pieces:
        is_first = True
        for piece in pieces:
            if is_first:
                self.report.stage("writing")
                is_first = False
            self._counter.feed(piece)
            self._check_rows(self._counter.rows)
            self.report.written(self._counter.rows, self._size_bytes)
            yield piece

    def _check_rows(self, rows: int) -> None:
        limit = self._job.row_limit
        if limit and rows > limit:
            raise RunFailed.of(
                FailureCode.ROW_LIMIT_EXCEEDED,
                f"Query exceeded the maximum number of output rows of {limit}",
            )

    def _check_size(self) -> None:
        limit = self._job.size_limit_bytes
        if limit and self._size_bytes > limit:
            raise RunFailed.of(
                FailureCode.SIZE_LIMIT_EXCEEDED,
                f"Query exceeded the maximum size of a result file of {limit} bytes",
            )

    def _check_count(self, rows: int) -> None:
        """Two counts of the same rows: a difference means that bytes were lost or invented."""
        if self._counter.is_exact and self._counter.rows != rows:
            raise RunFailed.of(
                FailureCode.INTERNAL_ERROR, "The result file does not have the rows it should"
            )
