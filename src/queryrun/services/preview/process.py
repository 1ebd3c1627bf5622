"""The preview process: reads the first rows out of one binary result file, and exits.

It opens no file: the node sends the ranges that it requests. The sandbox is that of the guard:
no file, no network. A crash stops only this process.
"""

from __future__ import annotations

import io
import os
import resource
import socket
from typing import Any, NoReturn

import msgspec

from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import limit_memory, name_process
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import (
    MAX_READ_BYTES,
    PREVIEW_TOO_FAR,
    NoPreviewError,
    Preview,
)
from queryrun.services.preview.frames import (
    FileChunk,
    MakePreview,
    PreviewRefused,
    PreviewRows,
    ReadRange,
    ToPreview,
)

MEMORY_BYTES = 1024**3
CPU_S = 5

_encode_json = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToPreview).decode


def main(control: socket.socket) -> NoReturn:
    """The entry point: make one preview."""
    limit_memory(MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    apply_sandbox(SandboxPolicy())
    name_process("qr:preview")
    channel: Channel[ToPreview] = Channel(control, _decode)
    frame = channel.receive()
    if isinstance(frame, MakePreview):
        file = RequestedFile(channel, frame.size_bytes)
        channel.send(_preview(file, frame.request))
    os._exit(0)


class RequestedFile(io.RawIOBase):
    """The file, read by ranges from the node."""

    def __init__(self, channel: Channel[ToPreview], size_bytes: int) -> None:
        self._channel = channel
        self._size_bytes = size_bytes
        self._position = self._requested_bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size_bytes)
        size = max(end - self._position, 0)
        if size:
            self._requested_bytes += size
            if self._requested_bytes > MAX_READ_BYTES:
                raise NoPreviewError(PREVIEW_TOO_FAR)
            self._channel.send(ReadRange(self._position, end))
            buffer[:size] = self._receive(size)
            self._position = end
        return size

    def _receive(self, size: int) -> bytes:
        """Exactly `size` bytes. A node that sends anything else has closed its end."""
        data = bytearray()
        while len(data) < size:
            frame = self._channel.receive()
            if not isinstance(frame, FileChunk):
                os._exit(0)
            data += frame.data
        return bytes(data)


def _preview(file: RequestedFile, request: PreviewRequest) -> PreviewRows | PreviewRefused:
    """Imported here, under the limits: the libraries are large and start threads."""
    from queryrun.results.columnar import columnar_preview

    try:
        found: Preview = columnar_preview(file, request)  # type: ignore[arg-type] # a file all the same
    except NoPreviewError as error:
        return PreviewRefused(str(error))
    return PreviewRows(found.columns, [[_as_json(value) for value in row] for row in found.rows])


def _as_json(value: object) -> bytes:
    return bytes(value) if isinstance(value, msgspec.Raw) else _encode_json(value)
