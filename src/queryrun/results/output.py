"""The second half of a result's way: what becomes of its bytes, and how many they may be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.compress import Chunks, compressed
from queryrun.results.count import RowEstimate, counter_for, has_rows, rows_before
from queryrun.results.encrypt import encrypted, parse_key
from queryrun.results.names import member_name

if TYPE_CHECKING:
    from queryrun.results.store import ResultWriter
    from queryrun.results.write import Report, WriteRequest

RECOUNT_FACTOR = 1.25
"""So much must an estimate have grown since rows were last counted before they are again."""


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """A whole file: its true row count, and size and SHA-256 of the bytes as stored."""

    rows: int
    size_bytes: int
    sha256: str


class PipedWrite:
    """Bytes that come by are counted, packed, encrypted, digested and stored."""

    def __init__(self, job: WriteRequest, writer: ResultWriter, report: Report) -> None:
        self._job = job
        self._writer = writer
        self._report = report
        self._key = parse_key(job.encryption_key) if job.encryption_key else None
        self._counter = counter_for(job.content_type)
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def take(self, chunks: Chunks) -> None:
        """Bring all pieces to the store. Raises `RunFailed` as soon as a limit is passed."""
        name = member_name(self._job.file_key)
        packed = compressed(self._counted(chunks), self._job.content_encoding, name)
        for chunk in encrypted(packed, self._key):
            self._size_bytes += len(chunk)
            check_size(self._job, self._size_bytes)
            self._writer.write(chunk)
            self._digest.update(chunk)

    def result(self, rows: int) -> WrittenResult:
        """What was written, once the engine has said how many rows there were."""
        check_rows(self._job, rows)
        self._check_count(rows)
        return WrittenResult(rows, self._size_bytes, self._digest.hexdigest())

    def _counted(self, chunks: Chunks) -> Chunks:
        is_first = True
        for chunk in chunks:
            if is_first:
                self._report.stage("writing")
                is_first = False
            self._counter.feed(chunk)
            check_rows(self._job, self._counter.rows)
            self._report.written(self._counter.rows, self._size_bytes)
            yield chunk

    def _check_count(self, rows: int) -> None:
        """Two counts of the same rows: a difference means that bytes were lost or invented."""
        if self._counter.is_exact and self._counter.rows != rows:
            raise RunFailed.of(
                FailureCode.INTERNAL_ERROR, "The result file does not have the rows it should"
            )


class DirectWrite:
    """Bytes that the engine has put in their place by itself: digested and kept within limits.

    Rows are estimated while they are written, since counting them costs half as much as the
    digest; a result that seems to be over the limit is counted. The engine's own number decides.
    """

    def __init__(self, job: WriteRequest, file: int, report: Report) -> None:
        self._job = job
        self._file = file
        self._report = report
        self._estimate = RowEstimate(job.content_type)
        self._count_from = job.row_limit
        self._digest = hashlib.sha256()
        self._digested_bytes = 0
        self._is_writing = False

    def take(self, chunks: Chunks) -> None:
        """Digest all pieces. Raises `RunFailed` when they hold too many rows."""
        for chunk in chunks:
            self._digest.update(chunk)
            self._digested_bytes += len(chunk)
            self._estimate.feed(chunk)
            if self._job.row_limit and self._estimate.rows > self._count_from:
                self._count()

    def watch(self, size_bytes: int) -> None:
        """The file has become so large. Raises `RunFailed` when that is too much."""
        if not self._is_writing and has_rows(self._file, size_bytes, self._job.content_type):
            self._is_writing = True
            self._report.stage("writing")
        check_size(self._job, size_bytes)
        self._report.written(self._estimate.rows, size_bytes)

    def result(self, rows: int) -> WrittenResult:
        """What was written, once the engine has said how many rows there were."""
        check_rows(self._job, rows)
        return WrittenResult(rows, self._digested_bytes, self._digest.hexdigest())

    def _count(self) -> None:
        rows = rows_before(self._file, self._digested_bytes, self._job.content_type)
        check_rows(self._job, rows)
        self._count_from = int(self._estimate.rows * RECOUNT_FACTOR)


def check_rows(job: WriteRequest, rows: int) -> None:
    """Raise `RunFailed` when these are more rows than the job may have."""
    if job.row_limit and rows > job.row_limit:
        raise RunFailed.of(
            FailureCode.ROW_LIMIT_EXCEEDED,
            f"Query exceeded the maximum number of output rows of {job.row_limit}",
        )


def check_size(job: WriteRequest, size_bytes: int) -> None:
    """Raise `RunFailed` when these are more bytes than the job's file may have."""
    limit = job.size_limit_bytes
    if limit and size_bytes > limit:
        raise RunFailed.of(
            FailureCode.SIZE_LIMIT_EXCEEDED,
            f"Query exceeded the maximum size of a result file of {limit} bytes",
        )
