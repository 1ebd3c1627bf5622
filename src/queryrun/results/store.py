"""The ResultStore protocol: storage of result files. A key contains no data of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from queryrun.results.s3_permit import UploadPermit

NOT_AS_ANNOUNCED = "The result file is not as its worker announced"
"""How a run fails whose worker says that it has finished a file, and has not."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A committed file. `etag` changes whenever the bytes do."""

    key: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SharedFile:
    """An unfinished file that the engine writes itself."""

    descriptor: int
    """For reading it meanwhile; it belongs to the writer."""
    on_growth: Callable[[int], None]
    """Call it from time to time with the size of the file."""
    sync: Callable[[], None]
    """Sync what was written to the disk. Optional: `commit` syncs too, and takes longer then.
    Raises `RunFailed` (storage)."""


class ResultWriter(Protocol):
    """An unfinished file. Nothing is visible under its key until `commit` has returned."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append the next bytes. May block on the store. Raises `RunFailed` (storage)."""
        ...

    def share(self, path: str) -> SharedFile | None:
        """Let the engine write the file, at `path`, instead of `write`. `commit` stays the same.

        `path` is removed with the writer. None: the store cannot share a file, so use `write`.
        Called before anything is written.
        """
        ...

    def reserve(self, size_bytes: int, spool: str) -> None:
        """Leave room for the first bytes, which `fill` writes after the last `write`.

        `spool` is a path where the writer may keep bytes, and read them, until the commit. Called
        before anything is written. Raises `RunFailed` (storage).
        """
        ...

    def fill(self, head: bytes) -> None:
        """The reserved bytes, all of them, once."""
        ...

    def committed(self) -> Iterator[bytes]:
        """The bytes of the committed file, once. Only for a file with reserved bytes.

        Raises `RunFailed` (storage) when it cannot be read back; the file is there nevertheless.
        """
        ...

    def commit(self) -> None:
        """Make the complete file durable and visible under its key, in one step."""
        ...

    def abort(self) -> None:
        """Discard the file and leave nothing behind. Idempotent; does nothing after `commit`."""
        ...


class ResultStore(Protocol):
    """Durable result files, by key. Blocking: a worker calls it directly, a node in a thread."""

    def open(self, key: str) -> ResultWriter:
        """Start a file that will be committed under `key`. Each key is used once."""
        ...

    def stat(self, key: str) -> StoredFile | None:
        """The committed file, or None. A file that was not committed does not exist.

        Raises `RunFailed` (storage) when the store does not respond.
        """
        ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` (inclusive) to `end` (exclusive) in chunks of at most 1 MiB.

        Raises `FileNotFoundError` when there is no such file, and `RunFailed` (storage) on errors
        of the store, also between two chunks: then the bytes so far are correct but incomplete.
        """
        ...

    def take_over(
        self, outbox: Path | None, key: str, size_bytes: int, *, is_stopped: bool = False
    ) -> bool:
        """Commit the file that a worker has finished in its outbox. Durable when it returns True.

        False: a process may still write to the file, so nothing was committed. Stop the worker and
        call it again with `is_stopped`. Raises `RunFailed` for a file that is not there, or not as
        announced. A store that workers upload to has no outbox; it looks whether the file is there.
        """
        ...

    def upload_permit(self, key: str) -> UploadPermit | None:
        """What a worker may ask of the store to write this file, signed by the node.

        None: it asks nothing, since it writes to an outbox.
        """
        ...

    def discard(self, key: str) -> None:
        """Remove what an attempt left under `key`: committed, half-written or neither. Idempotent.

        Call it only after the writer is confirmed stopped. Raises `RunFailed` (storage).
        """
        ...

    def sweep(self, unfinished_before: datetime, committed_before: datetime) -> list[str]:
        """Remove orphaned files, by age alone. Returns their keys.

        `unfinished_before` must be longer ago than any attempt may take; it is compared with the
        last write, or where the store does not record that, with the start. `committed_before`
        must be longer ago than runs are kept. Orphans are files for which `discard` was never
        called, because a node was lost or the store was unavailable.
        """
        ...

    def link(self, key: str, lifetime_s: int) -> str | None:
        """A link to the file that the store itself serves for `lifetime_s` seconds.

        None: the store serves no such link, so the download has to be proxied. Makes no request
        and does not check whether the file exists.
        """
        ...
