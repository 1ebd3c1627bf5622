"""The ResultStore protocol: where result files live. Keys hold nothing of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A committed file. `etag` changes whenever the bytes do."""

    key: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SharedFile:
    """An unfinished file that somebody else writes."""

    descriptor: int
    """To read it meanwhile; the writer's own."""
    on_growth: Callable[[int], None]
    """To be told now and then how large the file has become."""
    sync: Callable[[], None]
    """Bring what was written to the disk. May be left out: `commit` does it too, and then waits.
    Raises `RunFailed` (storage)."""


class ResultWriter(Protocol):
    """A file in the making. Nothing is visible under its key until `commit` has returned."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. May block on the store. Raises `RunFailed` (storage) on trouble."""
        ...

    def share(self, path: str) -> SharedFile | None:
        """Let somebody else write the file, at `path`, instead of `write`; `commit` as ever.

        `path` ends with the writer. None: that cannot be, here or with this store, and `write`
        is the way. Called before anything is written.
        """
        ...

    def commit(self) -> None:
        """Make the file durable and visible under its key, whole, in one step."""
        ...

    def abort(self) -> None:
        """Give up: leave nothing behind. Idempotent; does nothing after `commit`."""
        ...


class ResultStore(Protocol):
    """Durable result files, by key. Blocking: the worker calls it directly, a node in a thread."""

    def open(self, key: str) -> ResultWriter:
        """Start a file that will be committed under `key`. A key is used once."""
        ...

    def stat(self, key: str) -> StoredFile | None:
        """The committed file, or None. A file that was not committed does not exist.

        Raises `RunFailed` (storage) when that cannot be found out.
        """
        ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` (inclusive) to `end` (exclusive) in pieces of at most 1 MiB.

        `FileNotFoundError` when there is no such file; `RunFailed` (storage) on trouble, also
        between two pieces: then the bytes so far are right and the rest is missing.
        """
        ...

    def discard(self, key: str) -> None:
        """Remove what an attempt left under `key`: committed, half-written or neither. Idempotent.

        Only after the writer is known to be gone. Raises `RunFailed` (storage) on trouble.
        """
        ...

    def sweep(self, unfinished_before: datetime, committed_before: datetime) -> list[str]:
        """Remove what is nobody's any more, by age alone; the keys.

        Unfinished files that were last written (where the store cannot tell: begun) before the
        first time, which must be longer ago than any attempt may take, and committed ones from
        before the second, which must be longer ago than runs are kept. They are what `discard`
        was never called for: the node was lost, or the store was away.
        """
        ...

    def link(self, key: str, lifetime_s: int) -> str | None:
        """A link to the file that the store serves by itself for `lifetime_s` seconds.

        None: it serves none, and downloads go through us. Makes no request and does not look
        whether the file exists.
        """
        ...
