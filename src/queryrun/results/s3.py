"""Result files in an S3 bucket: streamed in parts, visible only once they are whole.

A small file is one PUT at its commit. A larger one is a multipart upload that starts with its first
full part and is invisible until it is completed; `discard` aborts it when its worker has died. No
byte is written to a local disk.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.names import checked_key, disposition, media_type
from queryrun.results.s3_permit import UploadPermit
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3http import S3Error
from queryrun.results.store import NOT_AS_ANNOUNCED, SharedFile, StoredFile

PART_BYTES = 16 * 1024 * 1024
"""S3 allows 10,000 parts, so this size allows files of up to 160 GB."""
MAX_PARTS = 10_000
PARTS_IN_FLIGHT = 2
"""Together with the one being filled, the memory a writer holds: three parts, and the first one of
a file whose first bytes come last."""
_CHUNK_BYTES = 256 * 1024
_INSUFFICIENT_STORAGE = 507
"""HTTP's status for a full disk, which several servers use; AWS does not."""


class S3ResultStore:
    """One object per key. See `ResultStore`."""

    def __init__(
        self, bucket: S3Bucket, *, part_bytes: int = PART_BYTES, presigned: bool = False
    ) -> None:
        self._bucket = bucket
        self._part_bytes = part_bytes
        self._presigned = presigned
        self._probe = secrets.token_hex(4)

    def check(self) -> None:
        """Write a small object and remove it. Raises `RunFailed` with what an operator can do."""
        key = f"probe-{self._probe}"
        try:
            self._bucket.probe(key)
        except S3Error as error:
            advice = f": {error.advice}" if error.advice else ""
            raise RunFailed.of(
                FailureCode.STORAGE_FAILED, f"the bucket refuses ({error.code}){advice}"
            ) from error

    def open(self, key: str) -> S3ResultWriter:
        """Start a file. Makes no request yet."""
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

    def take_over(
        self,
        outbox: Path | None,  # noqa: ARG002 - as the protocol says
        key: str,
        size_bytes: int,
        *,
        is_stopped: bool = False,  # noqa: ARG002
    ) -> bool:
        """The object is committed: look whether it is there, and as large as its worker says."""
        found = self.stat(key)
        if found is None or found.size_bytes != size_bytes:
            raise RunFailed.of(FailureCode.WORKER_LOST, NOT_AS_ANNOUNCED)
        return True

    def upload_permit(self, key: str) -> UploadPermit | None:
        """The requests that write this object, signed with the node's credentials."""
        return self._bucket.upload_permit(checked_key(key), _metadata(key))

    def discard(self, key: str) -> None:
        """Abort every upload of the key, then remove the object."""
        checked_key(key)
        with storage_failures():
            for upload in self._bucket.uploads(key):
                if upload.key == key:
                    self._bucket.abort_upload(upload.id, key)
            self._bucket.delete(key)

    def sweep(self, unfinished_before: datetime, committed_before: datetime) -> list[str]:
        """Abort orphaned uploads and remove orphaned objects, by age."""
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
    """An unfinished file. See `ResultWriter`. Not thread-safe."""

    def __init__(self, bucket: S3Bucket, key: str, part_bytes: int) -> None:
        self._bucket = bucket
        self._key = key
        self._part_bytes = part_bytes
        self._part = bytearray()
        self._first: bytearray | None = None
        """The first part, kept until `fill` when it has a gap."""
        self._reserved_bytes = 0
        self._upload: str | None = None
        self._etags: list[str] = []
        self._in_flight: deque[Future[str]] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._size_bytes = 0
        self._is_committed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Fill parts and upload each full one; blocks while `PARTS_IN_FLIGHT` are in flight."""
        with memoryview(data) as view, storage_failures():
            self._size_bytes += len(view)
            taken = 0
            while taken < len(view):
                free = self._part_bytes - len(self._part)
                self._part += view[taken : taken + free]
                taken += free
                if len(self._part) == self._part_bytes:
                    self._finish_part()

    def share(self, path: str) -> SharedFile | None:  # noqa: ARG002 - as the protocol says
        """None: parts are sent from memory."""
        return None

    def reserve(self, size_bytes: int, spool: str) -> None:  # noqa: ARG002 - as the protocol says
        """The first part has the gap: it is kept in memory, and uploaded last."""
        if size_bytes > self._part_bytes:
            raise ValueError("more than a part")
        self._reserved_bytes = self._size_bytes = size_bytes
        self._part += bytes(size_bytes)

    def fill(self, head: bytes) -> None:
        """Complete the first part."""
        if len(head) != self._reserved_bytes:
            raise ValueError("another size was reserved")
        first = self._part if self._first is None else self._first
        first[: len(head)] = head

    def committed(self) -> Iterator[bytes]:
        """The object, downloaded."""
        with storage_failures():
            yield from self._bucket.get(self._key, 0, self._size_bytes, _CHUNK_BYTES)

    def commit(self) -> None:
        """Upload the rest and complete the object. Durable and visible when this returns."""
        with storage_failures():
            if self._upload is None:
                self._bucket.put(self._key, self._part, _metadata(self._key))
            else:
                self._complete(self._upload)
        self._is_committed = True
        self._join_threads()

    def abort(self) -> None:
        """Abort the upload. Never raises: `discard` and `sweep` remove what is left over."""
        if self._is_committed:
            return
        self._part, self._first = bytearray(), None
        self._join_threads()
        if self._upload is not None:
            with contextlib.suppress(S3Error):
                self._bucket.abort_upload(self._upload, self._key)
            self._upload = None

    def _complete(self, upload: str) -> None:
        """The upload may be complete although the response was lost, so check before raising."""
        if self._part:
            self._send_part()
        while self._in_flight:
            self._etags.append(self._in_flight.popleft().result())
        etags = self._etags
        if self._first is not None:
            etags = [self._bucket.put_part(upload, self._key, 1, self._first), *etags]
        try:
            self._bucket.complete_upload(upload, self._key, etags)
        except S3Error:
            if not self._is_complete():
                raise

    def _is_complete(self) -> bool:
        """Whether an upload was completed whose response was lost: the key is this writer's own."""
        headers = self._bucket.head(self._key)
        return headers is not None and headers.get("content-length") == str(self._size_bytes)

    def _finish_part(self) -> None:
        """Upload a full part, unless it is the first and has a gap."""
        if not self._reserved_bytes or self._first is not None:
            self._send_part()
            return
        self._first, self._part = self._part, bytearray()
        self._upload = self._bucket.begin_upload(self._key, _metadata(self._key))

    def _send_part(self) -> None:
        """Upload the full part in a thread. Raises the error of an earlier part."""
        if self._upload is None:
            self._upload = self._bucket.begin_upload(self._key, _metadata(self._key))
        if self._threads is None:
            self._threads = ThreadPoolExecutor(PARTS_IN_FLIGHT, "result part")
        if len(self._in_flight) == PARTS_IN_FLIGHT:
            self._etags.append(self._in_flight.popleft().result())
        is_behind_first = self._first is not None
        number = len(self._etags) + len(self._in_flight) + 1 + is_behind_first
        _check_parts(number, self._part_bytes)
        part, self._part = self._part, bytearray()
        send = self._bucket.put_part
        self._in_flight.append(self._threads.submit(send, self._upload, self._key, number, part))

    def _join_threads(self) -> None:
        """Wait until no part is in flight: an abort must come after the last one."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
        self._in_flight.clear()


def _metadata(key: str) -> dict[str, str]:
    """The headers of a presigned download, equal to those of a proxied one."""
    return {"content-type": media_type(key), "content-disposition": disposition(key)}


def _check_parts(number: int, part_bytes: int) -> None:
    if number > MAX_PARTS:
        raise RunFailed.of(
            FailureCode.SIZE_LIMIT_EXCEEDED,
            f"A result file in this store can have {MAX_PARTS * part_bytes} bytes at most",
        )


@contextlib.contextmanager
def storage_failures() -> Iterator[None]:
    """The store's errors as failures of a run, with S3's error code for the operator."""
    try:
        yield
    except S3Error as error:
        if error.status == _INSUFFICIENT_STORAGE:
            raise RunFailed.of(
                FailureCode.STORAGE_FULL, "There is no space left for result files"
            ) from error
        raise RunFailed.of(
            FailureCode.STORAGE_FAILED, f"The store of result files refused ({error.code})"
        ) from error
