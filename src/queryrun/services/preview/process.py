"""The process that looks into one binary result file for a preview, and reads nothing by itself.

Bytes of the file are asked of the node by place, one line of JSON each time, and come in on the
standard input; the last line is the answer. The walls are those of a statement checker: no file,
no network. Whatever goes wrong here ends this process alone.
"""

from __future__ import annotations

import io
import os
import resource
import sys
from typing import Any, BinaryIO, NoReturn

import msgspec

from queryrun.processes.child_setup import die_with_parent, limit_memory
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import (
    MAX_READ_BYTES,
    PREVIEW_TOO_FAR,
    NoPreviewError,
    Preview,
)

MEMORY_BYTES = 1024**3
CPU_S = 5


class Look(msgspec.Struct, frozen=True):
    """What to look for, and the size of the file; the one argument, as JSON."""

    wanted: PreviewRequest
    size_bytes: int


class BytesAsked(msgspec.Struct, frozen=True, tag="read"):
    """From `start` to before `end`: exactly so many bytes are to come."""

    start: int
    end: int


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """The rows."""

    columns: list[str]
    rows: list[list[msgspec.Raw]]


class NothingSeen(msgspec.Struct, frozen=True, tag="nothing"):
    """There is no preview; why."""

    reason: str


Said = BytesAsked | Seen | NothingSeen
_encode = msgspec.json.Encoder().encode


class AskedFile(io.RawIOBase):
    """The file, as far as the node gives it out."""

    def __init__(self, size_bytes: int, answers: BinaryIO, questions: BinaryIO) -> None:
        self._size_bytes = size_bytes
        self._answers = answers
        self._questions = questions
        self._at = self._asked_bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size_bytes)
        size = max(end - self._at, 0)
        if size:
            self._asked_bytes += size
            if self._asked_bytes > MAX_READ_BYTES:
                raise NoPreviewError(PREVIEW_TOO_FAR)
            say(self._questions, BytesAsked(self._at, end))
            buffer[:size] = _exactly(self._answers, size)
            self._at = end
        return size


def _exactly(answers: BinaryIO, size: int) -> bytes:
    data = answers.read(size)
    if len(data) < size:
        os._exit(0)  # the node has let go
    return data


def say(output: BinaryIO, said: Said) -> None:
    """One line."""
    output.write(_encode(said) + b"\n")
    output.flush()


def main() -> NoReturn:
    """Look, answer, end."""
    die_with_parent(os.getppid())
    limit_memory(MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    apply_sandbox(SandboxPolicy())
    look = msgspec.json.decode(sys.argv[1], type=Look)
    file = AskedFile(look.size_bytes, sys.stdin.buffer, sys.stdout.buffer)
    say(sys.stdout.buffer, _seen(file, look.wanted))
    os._exit(0)


def _seen(file: AskedFile, wanted: PreviewRequest) -> Said:
    from queryrun.results.columnar import columnar_preview

    try:
        found: Preview = columnar_preview(file, wanted)  # type: ignore[arg-type] # a file all the same
    except NoPreviewError as error:
        return NothingSeen(str(error))
    return Seen(found.columns, [[_raw(value) for value in row] for row in found.rows])


def _raw(value: object) -> msgspec.Raw:
    return value if isinstance(value, msgspec.Raw) else msgspec.Raw(_encode(value))


if __name__ == "__main__":
    main()
