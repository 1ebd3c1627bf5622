"""The second half of the pipeline: bytes are counted, limited, digested and stored."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.count import RowEstimate, has_rows, rows_before
from queryrun.results.encrypt import encrypted, encrypted_head_last, parse_key
from queryrun.results.names import member_name
from queryrun.results.request import WrittenResult

if TYPE_CHECKING:
    from queryrun.results.compress import Chunks
    from queryrun.results.request import Report, WriteRequest
    from queryrun.results.store import ResultWriter
    from queryrun.results.zip import HeadLast

HELD_BYTES = 4 * 1024 * 1024
"""Files up to so many bytes whose first bytes come last are kept in memory."""
RECOUNT_FACTOR = 1.25
"""How much the estimate has to grow after a count before the rows are counted again."""


class PipedWrite:
    """Counts, compresses, encrypts, digests and stores the bytes that pass through.

    A file whose first bytes come last is kept in memory while it is small. A larger one is written
    behind its first bytes, and `digest_stored` reads it back. `spool` is a path in the session's
    own directory where nothing is yet.
    """

    def __init__(
        self, request: WriteRequest, writer: ResultWriter, report: Report, spool: str
    ) -> None:
        self._spool = spool
        self._has_gap = False
        self._request = request
        self._writer = writer
        self._report = report
        self._key = parse_key(request.encryption_key) if request.encryption_key else None
        self._counter = request.content_type.spec.counter()
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def consume(self, chunks: Chunks) -> None:
        """Store all chunks. Raises `RunFailed` as soon as a limit is exceeded."""
        spec, counted = self._request.content_encoding.spec, self._counted(chunks)
        if spec.archive is not None:
            file = spec.archive(counted, member_name(self._request.file_key))
            self._store_head_last(encrypted_head_last(file, self._key))
        elif spec.compress is not None:
            for chunk in encrypted(spec.compress(counted), self._key):
                self._store(chunk)

    def result(self, rows: int) -> WrittenResult:
        """What was written, given the engine's row count. Raises `RunFailed`."""
        check_rows(self._request, rows)
        self._check_count(rows)
        sha256 = "" if self._has_gap else self._digest.hexdigest()
        return WrittenResult(rows, self._size_bytes, sha256)

    def _store(self, chunk: bytes | bytearray | memoryview) -> None:
        self._count_size(len(chunk))
        self._writer.write(chunk)
        self._digest.update(chunk)

    def _count_size(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        check_size(self._request, self._size_bytes)

    def _store_head_last(self, file: HeadLast) -> None:
        held = bytearray()
        for chunk in file.body():
            if self._has_gap:
                self._count_size(len(chunk))
                self._writer.write(chunk)
                continue
            held += chunk
            if len(held) > HELD_BYTES:
                self._writer.reserve(file.head_bytes, self._spool)
                self._has_gap = True
                self._count_size(file.head_bytes + len(held))
                self._writer.write(held)
                held = bytearray()
        if self._has_gap:
            self._writer.fill(file.head())
            return
        self._store(file.head())
        self._store(held)

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


def digest_stored(written: WrittenResult, writer: ResultWriter) -> WrittenResult:
    """With the SHA-256 of a committed file that could not be digested on its way."""
    if written.sha256:
        return written
    digest = hashlib.sha256()
    for chunk in writer.committed():
        digest.update(chunk)
    return replace(written, sha256=digest.hexdigest())


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
