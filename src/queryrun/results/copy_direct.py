"""DuckDB's `COPY` into the store's own unfinished file, and a reader that follows it.

The engine writes the bytes once, without a pipe in between (1 to 2 ms of CPU per MiB). The reader
digests them while they are still in the page cache.

**Which bytes are final.** DuckDB's threads reserve ranges of the file one after another, but write
them concurrently: a later range can be there before an earlier one, and the gap reads as zeros.
Every byte is written once, so a byte that is not zero is final. The reader therefore stops at the
first zero byte and tries again later. Text has no zero bytes, except inside a value; those are read
after the `COPY`. Parquet is full of zeros, but one thread at a time writes it from beginning to
end, so every byte below the file's size is final. (Observed in the system calls of DuckDB 2.0; the
tests of digests would notice a change.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryrun.results.concurrent_copy import ConcurrentCopy, Copy

if TYPE_CHECKING:
    from queryrun.results.compress import Chunks
    from queryrun.results.store import SharedFile

CHUNK_BYTES = 256 * 1024
"""Small enough to stay in a core's own cache between reading and digesting."""
POLL_INTERVAL_S = 0.004
"""The wait for new bytes when there were none."""
STRIDE_BYTES = 8 * 1024 * 1024
"""The size of the file is checked at least every so many bytes."""


@dataclass(frozen=True, slots=True)
class CopyReader:
    """`consume` gets all bytes in order. `on_progress` gets the file's size every few milliseconds
    and once after the `COPY`. An error of either aborts the `COPY`."""

    consume: Callable[[Chunks], None]
    on_progress: Callable[[int], None]


def copy_direct(copy: Copy, file: SharedFile, reader: CopyReader, *, is_sequential: bool) -> int:
    """Run the `COPY` here, into `file`, and sync it to the disk. Returns the rows copied.

    `reader` runs in a second thread; after a failed `COPY` its bytes end early. `is_sequential`:
    the format is written from beginning to end. Errors: see `ConcurrentCopy.run`.
    """
    tail = _TailReader(file, reader.on_progress, is_sequential=is_sequential)

    def follow() -> None:
        reader.consume(tail.chunks(concurrent_copy))

    concurrent_copy = ConcurrentCopy(copy, follow, finish=file.sync)
    return concurrent_copy.run()


class _TailReader:
    """Reads the file up to the last final byte. One buffer, reused for every chunk."""

    def __init__(
        self, file: SharedFile, on_progress: Callable[[int], None], *, is_sequential: bool
    ) -> None:
        self._is_appended = is_sequential
        self._file = file.descriptor
        self._on_growth = file.on_growth
        self._watch = on_progress
        self._buffer = bytearray(CHUNK_BYTES)
        self._view = memoryview(self._buffer)
        self._offset = 0

    def chunks(self, concurrent_copy: ConcurrentCopy) -> Iterator[memoryview]:
        """All bytes of the file in order; stops when the `COPY` has failed."""
        while not concurrent_copy.copy_finished.is_set():
            before = self._offset
            yield from self._written(min(self._size(), before + STRIDE_BYTES))
            if self._offset == before:
                concurrent_copy.copy_finished.wait(POLL_INTERVAL_S)
        size_bytes = self._size()
        if not concurrent_copy.copy_failed:
            yield from self._all(size_bytes)

    def _size(self) -> int:
        size_bytes = os.fstat(self._file).st_size
        self._watch(size_bytes)
        self._on_growth(size_bytes)
        return size_bytes

    def _written(self, end: int) -> Iterator[memoryview]:
        """Full chunks before `end` whose bytes are all final."""
        while end - self._offset >= CHUNK_BYTES and self._read() == CHUNK_BYTES:
            if not self._is_appended and self._buffer.find(0) >= 0:
                return
            self._offset += CHUNK_BYTES
            yield self._view

    def _all(self, end: int) -> Iterator[memoryview]:
        """The rest, after the writer has finished."""
        while self._offset < end and (size := self._read()):
            self._offset += size
            yield self._view[:size]

    def _read(self) -> int:
        return os.preadv(self._file, [self._buffer], self._offset)
