"""Previews of binary result files, from a process that a broken file may crash (`process.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.results.bounded_threads import BoundedThreads
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
from queryrun.services.turns import TurnSlots

ROLE = "preview"
"""Of its processes, in the fork server's table."""
MAX_CONCURRENT = 2
"""Each takes up to `process.MEMORY_BYTES`, usually 150 MB, and a third of a second of CPU."""
TIMEOUT_S = 10.0
"""How long one may take, and how long others wait for their turn."""
MAX_WAITING = 20
"""Of one entity."""
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
        self._turns = TurnSlots(MAX_CONCURRENT, max_waiting_per_key=MAX_WAITING)
        self._reads = BoundedThreads("preview", threads=MAX_CONCURRENT, max_waiting=MAX_CONCURRENT)

    async def preview(
        self, read: Read, size_bytes: int, request: PreviewRequest, entity_id: str = ""
    ) -> Preview:
        """The requested rows. `read` is called in threads, for at most `MAX_READ_BYTES` in all.
        Entities take turns.

        Raises `NoPreviewError` when there is none within the limits, `Unavailable` when too many
        are being made, and whatever `read` raises.
        """
        async with self._turns.slot(entity_id, TIMEOUT_S), self._processes.one() as process:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    process.send(encode(MakePreview(request, size_bytes)))
                    return await self._converse(process, read)
            except TimeoutError:
                raise NoPreviewError(_TOO_EXPENSIVE) from None

    async def close(self) -> None:
        """Kill every process. Previews in progress fail. Idempotent."""
        self._reads.close()
        await self._processes.close()

    async def _converse(self, process: ServiceProcess[FromPreview], read: Read) -> Preview:
        """Counts what the process reads: a broken file may make its reader read forever."""
        read_bytes = 0
        while (frame := await process.receive()) is not None:
            if isinstance(frame, ReadRange):
                read_bytes += frame.end - frame.start
                if read_bytes > MAX_READ_BYTES:
                    raise NoPreviewError(PREVIEW_TOO_FAR)
                await self._send_range(process, read, frame)
            elif isinstance(frame, PreviewRefused):
                raise NoPreviewError(frame.reason)
            else:
                return _as_preview(frame)
        raise NoPreviewError(_TOO_EXPENSIVE)

    async def _send_range(
        self, process: ServiceProcess[FromPreview], read: Read, requested: ReadRange
    ) -> None:
        """One hop to a thread per range, because `read` may block on a network."""
        data = await self._reads.run(lambda: b"".join(read(requested.start, requested.end)))
        for start in range(0, len(data), _CHUNK_BYTES):
            process.send(encode(FileChunk(data[start : start + _CHUNK_BYTES])))
            await process.sent()


def _as_preview(frame: PreviewRows) -> Preview:
    return Preview(frame.columns, [[msgspec.Raw(value) for value in row] for row in frame.rows])
