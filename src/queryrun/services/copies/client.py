"""Copies of text files as a node has them made, for workers and for estimates."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from queryrun.engines.base import EngineLimits
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.processes.remove_tree import remove_tree
from queryrun.services.base import ServiceProcess, ServiceProcesses
from queryrun.services.copies.frames import CopiesConfig, WriteCopies, WrittenCopies
from queryrun.tables.text.requests import CopiesMade, CopiesRequest

_log = structlog.get_logger(__name__)

ROLE = "copies"
"""Of its processes, in the fork server's table."""
KEPT_S = 10.0
"""How long a process stays after a response, for the next file of the same run or worker: to start
one and import its libraries takes longer than most files to convert."""
_WORK_PREFIX = "worker-copies-"
"""Begins as the workers' do: what a killed node leaves behind goes the same way."""

Write = Callable[[SourceSpec, CopiesRequest, EngineLimits, str], Awaitable[CopiesMade]]
"""`CopiesClient.write`."""


@dataclass(slots=True, eq=False)
class _Opened:
    """A process for one that asks. It ends itself when that one has exited."""

    process: ServiceProcess[WrittenCopies]
    work_dir: Path
    expiry: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class CopiesClient:
    """Used from the event loop of the main thread alone.

    There is at most one process for each that asks, and a worker and an estimate ask for one thing
    at a time: so their bounds are those of these processes too.
    """

    fork_client: ForkClient
    work_root: Path
    _kept: dict[str, _Opened] = field(default_factory=dict)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)
    _processes: ServiceProcesses[WrittenCopies] = field(init=False)

    def __post_init__(self) -> None:
        decode = msgspec.msgpack.Decoder(WrittenCopies).decode
        self._processes = ServiceProcesses(
            self.fork_client, ROLE, decode, "copies cannot be written at the moment"
        )

    async def write(
        self, source: SourceSpec, request: CopiesRequest, limits: EngineLimits, requested_by: str
    ) -> CopiesMade:
        """Have a table's copies made. Never raises. A cancelled call kills the process, and ends
        once it is reaped.

        `limits` are those of the statement that waits, whose `spill_dir` is left out.
        `requested_by`: the handle of the process that waits; its source is always the same.
        """
        response = None
        try:
            opened = self._taken(requested_by) or await self._open(source, limits, requested_by)
            try:
                response = await opened.process.request(encode(WriteCopies(request)))
            finally:
                await self._put_back(requested_by, opened, is_reusable=response is not None)
        except (OSError, Unavailable):
            response = None
        if response is None:
            _log.warning("copies_not_written")
            return CopiesMade()
        return response.made

    async def close(self) -> None:
        """Kill every process. Idempotent."""
        while self._kept:
            self._expire(next(iter(self._kept)))
        await self._processes.close()
        await asyncio.gather(*self._ending)

    def _taken(self, requested_by: str) -> _Opened | None:
        opened = self._kept.pop(requested_by, None)
        if opened is not None and opened.expiry is not None:
            opened.expiry.cancel()
        return opened

    async def _open(self, source: SourceSpec, limits: EngineLimits, requested_by: str) -> _Opened:
        work_dir = self.work_root / f"{_WORK_PREFIX}{secrets.token_hex(8)}"
        await asyncio.to_thread(work_dir.mkdir, mode=0o700, parents=True)
        try:
            opened = _Opened(await self._processes.start(), work_dir)
        except BaseException:
            remove_tree(work_dir)
            raise
        config = CopiesConfig(
            *(source, limits.memory_bytes, limits.threads, limits.spill_bytes),
            work_dir=str(work_dir),
            requested_by=requested_by,
        )
        opened.process.send(encode(config))
        return opened

    async def _put_back(self, requested_by: str, opened: _Opened, *, is_reusable: bool) -> None:
        if not is_reusable:
            await asyncio.shield(self._begin_to_end(opened))
            return
        self._kept[requested_by] = opened
        loop = asyncio.get_running_loop()
        opened.expiry = loop.call_later(KEPT_S, self._expire, requested_by)

    def _expire(self, requested_by: str) -> None:
        opened = self._taken(requested_by)
        if opened is not None:
            self._begin_to_end(opened)

    def _begin_to_end(self, opened: _Opened) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._end(opened))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _end(self, opened: _Opened) -> None:
        await self._processes.end(opened.process)
        await asyncio.to_thread(remove_tree, opened.work_dir)
