"""One worker process as its user sees it: bind it, execute on it, hear what it says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import NoReturn, cast

import msgspec
import structlog

from queryrun.errors import FailureCode
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.frames import Frame, FrameSplitter, encode
from queryrun.results.sigv4 import Credentials
from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import (
    Done,
    Execute,
    ExtendLease,
    Failed,
    FromWorker,
    Interrupt,
    Progress,
    Ready,
    RenewCredentials,
    StageReached,
    Trouble,
    WorkerConfig,
    decode_from_worker,
)

_log = structlog.get_logger(__name__)

Heard = Callable[[StageReached | Progress], None]
"""Called on the event loop for each stage and progress of a running statement; must not block."""


class Worker:
    """A worker out of the pool. It is ended by `WorkerPool.stop` alone.

    `handle` names its process from the first moment, so it can be saved before anything waits.
    """

    def __init__(self, process: ChildProcess) -> None:
        loop = asyncio.get_running_loop()
        self.process = process
        self.born_at = loop.time()
        self.runs = 0
        """Statements sent to it in its life."""
        self.template: WorkerConfig | None = None
        """What it is bound to, with `spill_dir` left empty; None: to nothing yet."""
        self.started = False
        """Whether its present user has sent it a statement."""
        self.heeded = False
        """Whether it said that it heeded an interrupt."""
        self.clean = True
        """False once something came out of it after which it must not be used again."""
        self.disconnected = asyncio.Event()
        """Set when everything it ever said has been heard."""
        self._opened: asyncio.Future[Ready | Failed | None] = loop.create_future()
        self._outcome: asyncio.Future[Done | Failed | None] | None = None
        self._heard: Heard | None = None
        self._gone: asyncio.Future[int | None] = loop.create_future()
        self._transport: asyncio.WriteTransport | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def handle(self) -> str:
        """Its process's handle (`processes/handles.py`), good in any process of this machine."""
        return self.process.handle

    @property
    def is_gone(self) -> bool:
        """Whether it has been reaped and its spill directory removed."""
        return self._gone.done()

    @property
    def is_ready(self) -> bool:
        """Whether a session is open and the next statement would start at once."""
        return self._opened.done() and isinstance(self._opened.result(), Ready)

    async def connect(self, control: socket.socket) -> None:
        """Begin to talk over our end of its socket, which is ours from now on."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: _Talk(self), sock=control)

    def bind(self, template: WorkerConfig, spill_dir: str) -> None:
        """Tie it to one entity of one source for good. `ready` tells when it has opened it."""
        self.template = template
        self.send(msgspec.structs.replace(template, spill_dir=spill_dir))

    async def ready(self) -> Ready | Failed:
        """Wait until its session is open. `Failed`: the source could not be opened.

        Raises `WorkerDied`. May be awaited again, and by several.
        """
        opened = await asyncio.shield(self._opened)
        return opened if opened is not None else await self._raise_died()

    async def execute(self, execute: Execute, heard: Heard) -> Done | Failed:
        """Run one statement to its end; stages and progress go to `heard` meanwhile.

        Waits for `ready` first. Raises `WorkerDied` when the worker ends before its answer,
        also when someone stops it; by then it has been reaped. Cancelling this task does not
        stop the statement: `WorkerPool.stop` does, from another task, at any time.
        """
        opened = await self.ready()
        if isinstance(opened, Failed):
            return opened
        if not self.clean or self.is_gone:
            return await self._raise_died()
        loop = asyncio.get_running_loop()
        self._opened, self._outcome = loop.create_future(), loop.create_future()
        self._heard, self.started = heard, True
        self.runs += 1
        self.send(execute)
        outcome = await asyncio.shield(self._outcome)
        return outcome if outcome is not None else await self._raise_died()

    def interrupt(self) -> None:
        """Ask it to stop and to exit. Promises nothing; it is of no use to anybody after this."""
        self.clean = False
        self.send(Interrupt())

    def keep(self, until_s: float) -> None:
        """Let its running statement go on until then (`frames.Keep`); nothing when none runs."""
        self.send(ExtendLease(until_s))

    def renew_credentials(self, credentials: Credentials) -> None:
        """Replace the S3 credentials that it was bound with; nothing when it has none."""
        template = self.template
        if template is None or template.results.credentials in (None, credentials):
            return
        results = msgspec.structs.replace(template.results, credentials=credentials)
        self.template = msgspec.structs.replace(template, results=results)
        self.send(RenewCredentials(credentials))

    def send(self, frame: Frame) -> None:
        """Send a frame, or nothing when it is gone: its death is told by `gone`, not by this."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(frame))

    async def gone(self) -> int | None:
        """Wait until it is reaped and its spill directory removed; its exit code, if known."""
        return await asyncio.shield(self._gone)

    def set_gone(self, exit_code: int | None) -> None:
        """For the pool: it is buried. Everyone who waits for it hears so now."""
        self.clean = False
        if not self._gone.done():
            self._gone.set_result(exit_code)
        self._answer_nobody()

    async def _raise_died(self) -> NoReturn:
        raise WorkerDied(await self.gone())

    def _answer_nobody(self) -> None:
        for waiting in (self._opened, self._outcome):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def connected(self, transport: asyncio.WriteTransport) -> None:
        """For the talk: the way to it is open."""
        self._transport = transport

    def hear(self, frame: FromWorker) -> None:
        """For the talk: it said this."""
        match frame:
            case StageReached() | Progress():
                if self._heard is not None:
                    self._heard(frame)
            case Ready():
                _set(self._opened, frame)
            case Trouble():
                _log.error("worker_broken", pid=self.pid, exception=frame.exception, at=frame.where)
            case Done() | Failed():
                self._conclude(frame)

    def _conclude(self, frame: Done | Failed) -> None:
        self._heard = None
        if isinstance(frame, Failed):
            self.heeded = self.heeded or frame.interrupted
            if frame.interrupted or frame.code == FailureCode.INTERNAL_ERROR:
                self.clean = False
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(frame)
        elif isinstance(frame, Failed):  # nothing runs: it could not open its source
            self.clean = False
            _set(self._opened, frame)


def _set(waiting: asyncio.Future[Ready | Failed | None], frame: Ready | Failed) -> None:
    if not waiting.done():
        waiting.set_result(frame)


class _Talk(asyncio.Protocol):
    """The socket's side: bytes in, frames to the worker's record. Nonsense ends the talk."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._splitter = FrameSplitter()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's inherits from nothing
        self._worker.connected(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._splitter.feed(data):
                self._worker.hear(decode_from_worker(body))
        except (ValueError, msgspec.DecodeError):
            _log.error("worker_talks_nonsense", pid=self._worker.pid)
            self._worker.process.kill()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's word
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.close()
        self._worker.disconnected.set()
