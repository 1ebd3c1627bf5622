"""DuckDB's `COPY` into the store's own unfinished file, and a reader that follows close behind.

The bytes are written once and by the engine, without a pipe in between (1 to 2 ms of CPU per
MiB); what is read again, for the digest, is still in the kernel's memory.

**Which bytes may be read.** DuckDB's threads reserve their places in the file one after another,
but write them side by side: a later piece can be there before an earlier one, and what is missing
reads as zeros. Every byte is written once, so a byte that is not zero is final. The reader
therefore goes as far as the first zero byte and looks again; text has none, unless a value has
one, and is then read when the `COPY` is over. Parquet is full of zeros, but written from beginning
to end, by one thread at a time: there every byte of the file is final as soon as the file has it.
(Seen in the system calls of DuckDB 2.0; the tests of digests would notice a change.)
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
LOOK_EVERY_S = 0.004
STRIDE_BYTES = 8 * 1024 * 1024
"""How soon new bytes, and a file that has become too large, are noticed: so long after there was
nothing to read, or so many bytes later."""


@dataclass(frozen=True, slots=True)
class CopyReader:
    """`consume` gets all bytes in order, `watch` the file's size every few milliseconds, the last
    time after the `COPY`; what either raises ends the `COPY`."""

    consume: Callable[[Chunks], None]
    watch: Callable[[int], None]


def copy_direct(copy: Copy, file: SharedFile, reader: CopyReader, *, is_appended: bool) -> int:
    """Run the `COPY` here, to the place of `file`, and bring it to the disk. Returns the rows.

    `reader` reads along in a second thread; after a failed `COPY` its bytes end early.
    `is_appended`: this format is written from beginning to end. Errors: `ConcurrentCopy.accompany`.
    """
    follower = _Follower(file, reader.watch, is_appended=is_appended)

    def follow() -> None:
        reader.consume(follower.chunks(concurrent_copy))

    concurrent_copy = ConcurrentCopy(copy, follow, finish=file.sync)
    return concurrent_copy.run()


class _Follower:
    """How far it has come in the file. One buffer, used again and again."""

    def __init__(
        self, file: SharedFile, watch: Callable[[int], None], *, is_appended: bool
    ) -> None:
        self._is_appended = is_appended
        self._file = file.descriptor
        self._grown = file.on_growth
        self._watch = watch
        self._buffer = bytearray(CHUNK_BYTES)
        self._view = memoryview(self._buffer)
        self._at = 0

    def chunks(self, concurrent_copy: ConcurrentCopy) -> Iterator[memoryview]:
        """All bytes of the file in order; none any more once the `COPY` has failed."""
        while not concurrent_copy.copy_ended.is_set():
            before = self._at
            yield from self._written(min(self._size(), before + STRIDE_BYTES))
            if self._at == before:
                concurrent_copy.copy_ended.wait(LOOK_EVERY_S)
        size_bytes = self._size()
        if not concurrent_copy.copy_failed:
            yield from self._all(size_bytes)

    def _size(self) -> int:
        size_bytes = os.fstat(self._file).st_size
        self._watch(size_bytes)
        self._grown(size_bytes)
        return size_bytes

    def _written(self, end: int) -> Iterator[memoryview]:
        """Whole pieces before `end` whose bytes are all final."""
        while end - self._at >= CHUNK_BYTES and self._read() == CHUNK_BYTES:
            if not self._is_appended and self._buffer.find(0) >= 0:
                return
            self._at += CHUNK_BYTES
            yield self._view

    def _all(self, end: int) -> Iterator[memoryview]:
        """What is left, now that nobody writes any more."""
        while self._at < end and (size := self._read()):
            self._at += size
            yield self._view[:size]

    def _read(self) -> int:
        return os.preadv(self._file, [self._buffer], self._at)
