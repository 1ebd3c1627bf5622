"""Streams of age, ours (`cryptography`) against pyrage, in one process, by turns.

python -m benchmarks.age_streams [MIB]     # 400 by default; prints MiB/s of wall and CPU time
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import pyrage

from queryrun.results.age import AgeRecipient
from queryrun_client.age import plain_chunks

ROUNDS = 5
CHUNK = os.urandom(1024 * 1024)
"""What compression hands on: about a mebibyte, not compressible."""


class Reader(io.RawIOBase):
    """Chunks as a file, for pyrage."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._pending = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        if not self._pending:
            self._pending = memoryview(next(self._chunks, b""))
        taken = bytes(self._pending[:size])
        self._pending = self._pending[size:]
        return taken


class Discard(io.RawIOBase):
    """A sink that counts."""

    size_bytes = 0

    def write(self, data: bytes) -> int:  # type: ignore[override] # bytes are what it gets
        self.size_bytes += len(data)
        return len(data)


def main(mebibytes: int) -> None:
    """Measure, and print a table."""
    identity = pyrage.x25519.Identity.generate()
    ours = AgeRecipient.parsed(str(identity.to_public()))
    sealed = b"".join(ours.encrypted(iter([CHUNK] * mebibytes)))

    def encrypt_ours() -> int:
        return sum(len(part) for part in ours.encrypted(iter([CHUNK] * mebibytes)))

    def encrypt_pyrage() -> int:
        sink = Discard()
        pyrage.encrypt_io(Reader(iter([CHUNK] * mebibytes)), sink, [identity.to_public()])
        return sink.size_bytes

    def decrypt_ours() -> int:
        return sum(len(part) for part in plain_chunks(io.BytesIO(sealed), str(identity).encode()))

    def decrypt_pyrage() -> int:
        sink = Discard()
        pyrage.decrypt_io(io.BytesIO(sealed), sink, [identity])
        return sink.size_bytes

    cases: list[tuple[str, Callable[[], int]]] = [
        ("encrypt, ours", encrypt_ours),
        ("encrypt, pyrage", encrypt_pyrage),
        ("decrypt, ours", decrypt_ours),
        ("decrypt, pyrage", decrypt_pyrage),
    ]
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in cases}
    for _ in range(ROUNDS):
        for name, run in cases:
            wall, cpu = time.perf_counter(), time.process_time()
            assert run() >= mebibytes * len(CHUNK)
            figures[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    for name, rounds in figures.items():
        wall_s, cpu_s = (median(column) for column in zip(*rounds, strict=True))
        print(f"{name:16} {mebibytes / wall_s:6.0f} MiB/s {mebibytes / cpu_s:6.0f} MiB per CPU s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
