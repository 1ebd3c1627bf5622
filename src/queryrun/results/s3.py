"""Result files in an S3 bucket: streamed in parts, visible only once they are whole.

A small file is one PUT at its commit. A larger one is a multipart upload that begins with its
first full part; until it is completed nobody sees it, and whoever settles a dead worker's attempt
aborts it (`discard`). No byte lies on a local disk.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.names import checked_key, disposition, media_type
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3http import S3Error
from queryrun.results.store import SharedFile, StoredFile

PART_BYTES = 16 * 1024 * 1024
"""10,000 parts are the most there can be: with this, files of up to 160 GB."""
MAX_PARTS = 10_000
PARTS_IN_FLIGHT = 2
"""Together with the one being filled, the memory a writer holds: three parts."""
_CHUNK_BYTES = 1024 * 1024
_NO_ROOM = 507
"""HTTP's own status for it, which several servers use; AWS has no such thing."""


class S3ResultStore:
    """One object per key. See `ResultStore`."""

    def __init__(
        self, bucket: S3Bucket, *, part_bytes: int = PART_BYTES, presigned: bool = False
    ) -> None:
        self._bucket = bucket
        self._part_bytes = part_bytes
        self._presigned = presigned

    def open(self, key: str) -> S3ResultWriter:
        """Start a file. Nothing is said to the store yet."""
        return S3ResultWriter(self._bucket, checked_key(key), self._part_bytes)

    def stat(self, key: str) -> StoredFile | None:
        """The committed file; its ETag is the store's."""
        checked_key(key)
        with storage_failures():
            headers = self._bucket.head(key)
        if headers is None:
            return None
        return StoredFile(key, int(headers["content-length"]), headers["etag"].strip('"'))

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`. `FileNotFoundError` if there is none."""
        checked_key(key)
        if end > start:
            with storage_failures():
                yield from self._bucket.get(key, start, end, _CHUNK_BYTES)

    def discard(self, key: str) -> None:
        """Abort every upload of the key, then remove the object."""
        checked_key(key)
        with storage_failures():
            for upload in self._bucket.uploads(key):
                if upload.key == key:
                    self._bucket.abort_upload(upload.id, key)
            self._bucket.delete(key)

    def sweep(self, unfinished_before: datetime, committed_before: datetime) -> list[str]:
        """Abort uploads and remove objects that are so old that they are nobody's any more."""
        with storage_failures():
            uploads = [
                one for one in self._bucket.uploads() if one.initiated_time < unfinished_before
            ]
            for upload in uploads:
                self._bucket.abort_upload(upload.id, upload.key)
            objects = [one for one in self._bucket.objects() if one.modified < committed_before]
            for found in objects:
                self._bucket.delete(found.key)
        return [one.key for one in uploads] + [one.key for one in objects]

    def link(self, key: str, lifetime_s: int) -> str | None:
        """A presigned link, if enabled and if the store's credentials last as long."""
        return self._bucket.link(checked_key(key), lifetime_s) if self._presigned else None


class S3ResultWriter:
    """A file on its way into the bucket. See `ResultWriter`. Used by one thread."""

    def __init__(self, bucket: S3Bucket, key: str, part_bytes: int) -> None:
        self._bucket = bucket
        self._key = key
        self._part_bytes = part_bytes
        self._part = bytearray()
        self._upload: str | None = None
        self._etags: list[str] = []
        self._in_flight: deque[Future[str]] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._size_bytes = 0
        self._is_committed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Fill parts, and send each that is full; waits while `PARTS_IN_FLIGHT` are on the way."""
        with memoryview(data) as view, storage_failures():
            self._size_bytes += len(view)
            taken = 0
            while taken < len(view):
                room = self._part_bytes - len(self._part)
                self._part += view[taken : taken + room]
                taken += room
                if len(self._part) == self._part_bytes:
                    self._send_part()

    def share(self, path: str) -> SharedFile | None:  # noqa: ARG002 - as the protocol says
        """None: parts are sent from memory."""
        return None

    def commit(self) -> None:
        """Send what is left and make it one object. Durable and visible when this returns."""
        with storage_failures():
            if self._upload is None:
                self._bucket.put(self._key, self._part, _metadata(self._key))
            else:
                self._complete(self._upload)
        self._is_committed = True
        self._end_threads()

    def abort(self) -> None:
        """Abort the upload. Never raises: what is left over is `discard`'s and `sweep`'s."""
        if self._is_committed:
            return
        self._part = bytearray()
        self._end_threads()
        if self._upload is not None:
            with contextlib.suppress(S3Error):
                self._bucket.abort_upload(self._upload, self._key)
            self._upload = None

    def _complete(self, upload: str) -> None:
        if self._part:
            self._send_part()
        while self._in_flight:
            self._etags.append(self._in_flight.popleft().result())
        try:
            self._bucket.complete_upload(upload, self._key, self._etags)
        except S3Error:
            if not self._is_there():
                raise

    def _is_there(self) -> bool:
        """Whether the upload was completed though its answer was lost: the key is ours alone."""
        headers = self._bucket.head(self._key)
        return headers is not None and headers.get("content-length") == str(self._size_bytes)

    def _send_part(self) -> None:
        """Hand the full part to a thread; raises what an earlier part has met with."""
        if self._upload is None:
            self._upload = self._bucket.begin_upload(self._key, _metadata(self._key))
        if self._threads is None:
            self._threads = ThreadPoolExecutor(PARTS_IN_FLIGHT, "result part")
        if len(self._in_flight) == PARTS_IN_FLIGHT:
            self._etags.append(self._in_flight.popleft().result())
        number = len(self._etags) + len(self._in_flight) + 1
        _check_parts(number, self._part_bytes)
        part, self._part = self._part, bytearray()
        send = self._bucket.put_part
        self._in_flight.append(self._threads.submit(send, self._upload, self._key, number, part))

    def _end_threads(self) -> None:
        """Returns when no part is on its way any more: an abort may only come after the last."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
        self._in_flight.clear()


def _metadata(key: str) -> dict[str, str]:
    """What a presigned download says of itself; the same that a download through us says."""
    return {"content-type": media_type(key), "content-disposition": disposition(key)}


def _check_parts(number: int, part_bytes: int) -> None:
    if number > MAX_PARTS:
        raise RunFailed.of(
            FailureCode.SIZE_LIMIT_EXCEEDED,
            f"A result file in this store can have {MAX_PARTS * part_bytes} bytes at most",
        )


@contextlib.contextmanager
def storage_failures() -> Iterator[None]:
    """The store's refusals as failures of a run, with S3's own word for the operator."""
    try:
        yield
    except S3Error as error:
        if error.status == _NO_ROOM:
            raise RunFailed.of(
                FailureCode.STORAGE_FULL, "There is no space left for result files"
            ) from error
        raise RunFailed.of(
            FailureCode.STORAGE_FAILED, f"The store of result files refused ({error.code})"
        ) from error
