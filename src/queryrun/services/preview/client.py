"""Previews of binary result files, from a process that a broken file may crash (`process.py`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec

from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import MAX_READ_BYTES, PREVIEW_TOO_FAR, NoPreviewError, Preview
from queryrun.services.base import ServiceProcess, ServiceProcesses
from queryrun.services.preview.frames import (
    FileChunk,
    FromPreview,
    MakePreview,
    PreviewRefused,
    PreviewRows,
    ReadRange,
)

ROLE = "preview"
"""Of its processes, in the fork server's table."""
MAX_CONCURRENT = 2
"""Each takes up to `process.MEMORY_BYTES`, usually 150 MB, and a third of a second of CPU."""
TIMEOUT_S = 10.0
"""How long one may take, and how long others wait for their turn."""
_CHUNK_BYTES = 1024**2
_TOO_EXPENSIVE = "the preview of this file takes too much time or memory; download the file"

Read = Callable[[int, int], Iterable[bytes]]
"""The bytes of the file from the first position to before the second. May block."""


class PreviewClient:
    """Previews, a process each. Used from the event loop of the main thread alone."""

    def __init__(self, fork_client: ForkClient) -> None:
        decode: Callable[[bytes], FromPreview] = msgspec.msgpack.Decoder(FromPreview).decode
        self._processes = ServiceProcesses(
            fork_client, ROLE, decode, "previews cannot be made at the moment"
        )
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def preview(self, read: Read, size_bytes: int, request: PreviewRequest) -> Preview:
        """The requested rows. `read` is called in threads, for at most `MAX_READ_BYTES` in all.

        Raises `NoPreviewError` when there is none within the limits, `Unavailable` when too many
        are being made, and whatever `read` raises.
        """
        async with self._slot(), self._processes.one() as process:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    process.send(encode(MakePreview(request, size_bytes)))
                    return await _converse(process, read)
            except TimeoutError:
                raise NoPreviewError(_TOO_EXPENSIVE) from None

    async def close(self) -> None:
        """Kill every process. Previews in progress fail. Idempotent."""
        await self._processes.close()

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Bounds the wait too: a queue of slow previews must not hold requests for minutes."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable("too many previews at once") from None
        try:
            yield
        finally:
            self._slots.release()


async def _converse(process: ServiceProcess[FromPreview], read: Read) -> Preview:
    """Counts what the process reads: a broken file may make its reader read forever."""
    read_bytes = 0
    while (frame := await process.receive()) is not None:
        if isinstance(frame, ReadRange):
            read_bytes += frame.end - frame.start
            if read_bytes > MAX_READ_BYTES:
                raise NoPreviewError(PREVIEW_TOO_FAR)
            await _send_range(process, read, frame)
        elif isinstance(frame, PreviewRefused):
            raise NoPreviewError(frame.reason)
        else:
            return _as_preview(frame)
    raise NoPreviewError(_TOO_EXPENSIVE)


async def _send_range(
    process: ServiceProcess[FromPreview], read: Read, requested: ReadRange
) -> None:
    """One hop to a thread per range, because `read` may block on a network."""
    data = await asyncio.to_thread(lambda: b"".join(read(requested.start, requested.end)))
    for start in range(0, len(data), _CHUNK_BYTES):
        process.send(encode(FileChunk(data[start : start + _CHUNK_BYTES])))
        await process.sent()


def _as_preview(frame: PreviewRows) -> Preview:
    return Preview(frame.columns, [[msgspec.Raw(value) for value in row] for row in frame.rows])
