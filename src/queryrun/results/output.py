"""The second half of the pipeline: bytes are counted, limited, digested and stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.count import RowEstimate, has_rows, rows_before
from queryrun.results.encrypt import encrypted, parse_key
from queryrun.results.names import member_name
from queryrun.results.request import WrittenResult

if TYPE_CHECKING:
    from queryrun.results.compress import Chunks
    from queryrun.results.request import Report, WriteRequest
    from queryrun.results.store import ResultWriter

RECOUNT_FACTOR = 1.25
"""How much the estimate has to grow after a count before the rows are counted again."""


class PipedWrite:
    """Counts, compresses, encrypts, digests and stores the bytes that pass through."""

    def __init__(self, request: WriteRequest, writer: ResultWriter, report: Report) -> None:
        self._request = request
        self._writer = writer
        self._report = report
        self._key = parse_key(request.encryption_key) if request.encryption_key else None
        self._counter = request.content_type.spec.counter()
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def consume(self, chunks: Chunks) -> None:
        """Store all chunks. Raises `RunFailed` as soon as a limit is exceeded."""
        name = member_name(self._request.file_key)
        compress = self._request.content_encoding.spec.compress
        for chunk in encrypted(compress(self._counted(chunks), name), self._key):
            self._size_bytes += len(chunk)
            check_size(self._request, self._size_bytes)
            self._writer.write(chunk)
            self._digest.update(chunk)

    def result(self, rows: int) -> WrittenResult:
        """What was written, given the engine's row count. Raises `RunFailed`."""
        check_rows(self._request, rows)
        self._check_count(rows)
        return WrittenResult(rows, self._size_bytes, self._digest.hexdigest())

    def _counted(self, chunks: Chunks) -> Chunks:
        """Checks the row limit per chunk, so that an excess stops the write early."""
        is_first = True
        for chunk in chunks:
            if is_first:
                self._report.stage("writing")
                is_first = False
            self._counter.feed(chunk)
            check_rows(self._request, self._counter.rows)
            self._report.written(self._counter.rows, self._size_bytes)
            yield chunk

    def _check_count(self, rows: int) -> None:
        """Compares two independent counts: a difference means lost or invented bytes."""
        if self._counter.is_exact and self._counter.rows != rows:
            raise RunFailed.of(
                FailureCode.INTERNAL_ERROR, "The result file does not have the rows it should"
            )


class DirectWrite:
    """Digests the bytes that the engine wrote to the file itself, and enforces the limits.

    Rows are estimated during the write, because counting costs half as much as the digest. A
    result whose estimate exceeds the limit is counted. The engine's own count decides at the end.
    """

    def __init__(self, request: WriteRequest, file: int, report: Report) -> None:
        self._request = request
        self._file = file
        self._report = report
        self._counter = request.content_type.spec.counter
        self._estimate = RowEstimate(self._counter)
        self._count_from = request.row_limit
        self._digest = hashlib.sha256()
        self._digested_bytes = 0
        self._is_writing = False

    def consume(self, chunks: Chunks) -> None:
        """Digest all chunks. Raises `RunFailed` when they hold too many rows."""
        for chunk in chunks:
            self._digest.update(chunk)
            self._digested_bytes += len(chunk)
            self._estimate.feed(chunk)
            if self._request.row_limit and self._estimate.rows > self._count_from:
                self._count()

    def check_progress(self, size_bytes: int) -> None:
        """Report a growing file of this size. Raises `RunFailed` when it is too large."""
        if not self._is_writing and has_rows(self._file, size_bytes, self._counter):
            self._is_writing = True
            self._report.stage("writing")
        check_size(self._request, size_bytes)
        self._report.written(self._estimate.rows, size_bytes)

    def result(self, rows: int) -> WrittenResult:
        """What was written, given the engine's row count. Raises `RunFailed`."""
        check_rows(self._request, rows)
        return WrittenResult(rows, self._digested_bytes, self._digest.hexdigest())

    def _count(self) -> None:
        rows = rows_before(self._file, self._digested_bytes, self._counter)
        check_rows(self._request, rows)
        self._count_from = int(self._estimate.rows * RECOUNT_FACTOR)


def check_rows(request: WriteRequest, rows: int) -> None:
    """Raise `RunFailed` when these are more rows than the request allows."""
    if request.row_limit and rows > request.row_limit:
        raise RunFailed.of(
            FailureCode.ROW_LIMIT_EXCEEDED,
            f"Query exceeded the maximum number of output rows of {request.row_limit}",
        )


def check_size(request: WriteRequest, size_bytes: int) -> None:
    """Raise `RunFailed` when these are more bytes than the request allows for the file."""
    limit = request.size_limit_bytes
    if limit and size_bytes > limit:
        raise RunFailed.of(
            FailureCode.SIZE_LIMIT_EXCEEDED,
            f"Query exceeded the maximum size of a result file of {limit} bytes",
        )
