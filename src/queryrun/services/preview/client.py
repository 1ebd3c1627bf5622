"""Previews of binary result files, from a process that a broken file may crash (`peeking.py`)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import msgspec

from queryrun.errors import Unavailable
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import (
    MAX_READ_BYTES,
    MAX_RESPONSE_BYTES,
    PREVIEW_TOO_FAR,
    NoPreviewError,
    Preview,
)
from queryrun.services.preview.process import BytesAsked, Look, NothingSeen, Said, Seen

AT_ONCE = 2
"""Each takes up to `peeking.MEMORY_BYTES`, usually 150 MB, and half a second of CPU."""
PATIENCE_S = 10.0
"""How long one may take, and how long others wait for their turn."""
_LINE_BYTES = 8 * MAX_RESPONSE_BYTES
"""The longest line it may say: an answer ends at `MAX_RESPONSE_BYTES`, give or take one row."""

Read = Callable[[int, int], Iterable[bytes]]
"""The file's bytes from the first place to before the second."""

_turns = threading.BoundedSemaphore(AT_ONCE)
_decode = msgspec.json.Decoder(Said).decode


def peek(read: Read, size_bytes: int, wanted: PreviewRequest) -> Preview:
    """The wanted rows. Blocks, in a thread; reads at most `MAX_READ_BYTES` of the file.

    Raises `NoPreviewError` when there is none within the bounds, `Unavailable` when too many are
    being made, and whatever `read` raises.
    """
    if not _turns.acquire(timeout=PATIENCE_S):
        raise Unavailable("too many previews at once")
    try:
        with _process(Look(wanted, size_bytes)) as process:
            return _talk(process, read)
    finally:
        _turns.release()


def _talk(process: subprocess.Popen[bytes], read: Read) -> Preview:
    given_bytes = 0
    for said in _heard(process):
        if isinstance(said, BytesAsked):
            given_bytes += said.end - said.start
            if given_bytes > MAX_READ_BYTES:
                raise NoPreviewError(PREVIEW_TOO_FAR)
            _give(process, read(said.start, said.end))
        elif isinstance(said, NothingSeen):
            raise NoPreviewError(said.reason)
        else:
            return _preview(said)
    raise NoPreviewError("the file takes too much to look into; download it")


def _preview(seen: Seen) -> Preview:
    return Preview(seen.columns, [list(row) for row in seen.rows])


def _heard(process: subprocess.Popen[bytes]) -> Iterator[Said]:
    """What it says, until it ends or talks nonsense."""
    output = _pipe(process.stdout)
    while line := output.readline(_LINE_BYTES):
        try:
            yield _decode(line)
        except msgspec.DecodeError:
            return


def _give(process: subprocess.Popen[bytes], pieces: Iterable[bytes]) -> None:
    to = _pipe(process.stdin)
    with contextlib.suppress(BrokenPipeError):  # it has ended: nothing more will be heard
        for piece in pieces:
            to.write(piece)
        to.flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - both were asked for
    return pipe


@contextlib.contextmanager
def _process(look: Look) -> Iterator[subprocess.Popen[bytes]]:
    """A new one; killed and reaped afterwards, and when it takes too long."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [
            sys.executable,
            "-P",
            "-m",
            "queryrun.services.preview.process",
            msgspec.json.encode(look).decode(),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=_environment(),
    )
    bell = threading.Timer(PATIENCE_S, process.kill)
    bell.start()
    try:
        yield process
    finally:
        bell.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what it never read is of no use to anyone
                _pipe(pipe).close()


def _environment() -> dict[str, str]:
    """Where our code is, and none of our secrets."""
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
