"""One worker process as its user sees it: configure it, execute on it, receive its frames."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import NoReturn, cast

import msgspec
import structlog

from queryrun.engines.base import EngineLimits
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.frames import MAX_FRAME_BYTES, Frame, FrameSplitter, encode
from queryrun.processes.given_sockets import request_pair, send_descriptor
from queryrun.results.s3_permit import MAX_OFFSET_S, NO_UPLOAD, NotPermittedError, UploadPermit
from queryrun.results.sigv4 import UnsignedRequest
from queryrun.tables.text.requests import CopiesMade, CopiesRequest
from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import (
    Copied,
    Done,
    Execute,
    ExtendLease,
    Failed,
    FromWorker,
    InternalError,
    Interrupt,
    NeedCopies,
    Progress,
    Ready,
    Sign,
    Signed,
    StageReached,
    WorkerConfig,
    decode_from_worker,
)
from queryrun.worker.relay_targets import without_secret

_log = structlog.get_logger(__name__)

_MAX_UNREAD_BYTES = 2**20
_FLOOD_S = 1.0
_MAX_FRAMES, _MAX_BYTES = 2_000, 2 * MAX_FRAME_BYTES
"""In that time. A worker of ours sends progress a few times a second, and a request to sign for
each part of a result; one that floods takes the loop from everybody else."""

OnProgress = Callable[[StageReached | Progress], None]
"""Called on the event loop for each stage and progress of a running statement; must not block."""
WriteCopies = Callable[[SourceSpec, CopiesRequest, EngineLimits, str], Awaitable[CopiesMade]]
"""Has copies of text files made for a process of this handle. Never raises; ends, when it is
cancelled, once nothing of it runs."""


class Worker:
    """A worker out of the pool. Only `WorkerPool.stop` stops it."""

    def __init__(self, process: ChildProcess) -> None:
        loop = asyncio.get_running_loop()
        self.process = process
        self.created_at_s = loop.time()
        self.runs = 0
        """Number of statements sent to it."""
        self.outbox: Path | None = None
        """Where it leaves finished result files; None: its results go elsewhere."""
        self.is_in_use = False
        """Whether someone took it and has neither given it back nor stopped it."""
        self.config: WorkerConfig | None = None
        """What it serves, with `spill_dir` left empty; None: not configured yet."""
        self.started = False
        """Whether its current user has sent it a statement."""
        self.interrupted = False
        """Whether it reported that an interrupt stopped its statement."""
        self.is_cut_off = False
        """Whether it was given up because it got no way to its source: no statement is to blame."""
        self.reusable = True
        """False once it reported something after which it must not be used again."""
        self.internal_error: InternalError | None = None
        """The last error of ours that it reported."""
        self._directories: dict[Path, tuple[int, int] | None] = {}
        self.died_without_directory = False
        """Whether somebody had removed one of its directories before it exited: looked up then,
        because the pool removes what is left."""
        """What it writes to, by device and inode: its sandbox knows no names."""
        self.disconnected = asyncio.Event()
        """Set when everything it ever sent has been received."""
        self._opened: asyncio.Future[Ready | Failed | None] = loop.create_future()
        self._outcome: asyncio.Future[Done | Failed | None] | None = None
        self._on_progress: OnProgress | None = None
        self._permit: UploadPermit | None = None
        self.requests, self._worker_requests = request_pair()
        """Where it asks for connections; whoever serves them gets the first end."""
        self.relay: asyncio.Task[None] | None = None
        """Runs as long as its relay, if it needs one."""
        self.write_copies: WriteCopies | None = None
        """Who makes the copies that it needs; None: it does without."""
        self._copying: asyncio.Task[None] | None = None
        self._reaped: asyncio.Future[int | None] = loop.create_future()
        self._transport: asyncio.WriteTransport | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def handle(self) -> str:
        """Names its process in any process of this machine (`processes/handles.py`).

        Available from the start, so that it can be saved before anything waits.
        """
        return self.process.handle

    @property
    def is_reaped(self) -> bool:
        """Whether it has been reaped and its spill directory removed."""
        return self._reaped.done()

    @property
    def is_ready(self) -> bool:
        """Whether a session is open and the next statement would start at once."""
        return self._opened.done() and isinstance(self._opened.result(), Ready)

    async def connect(self, control: socket.socket) -> None:
        """Begin to communicate over our end of its socket. Takes over the socket."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError), self._worker_requests as requests:
            send_descriptor(control, requests.fileno())
        await loop.create_unix_connection(lambda: _WorkerProtocol(self), sock=control)

    def configure(self, config: WorkerConfig, spill_dir: Path, outbox: Path | None) -> None:
        """Bind it to one entity of one source for good. `ready` waits until it has opened it."""
        self.config, self.outbox = config, outbox
        self._directories = {one: _identity(one) for one in (spill_dir, outbox) if one is not None}
        results = config.results
        if outbox is not None:
            results = msgspec.structs.replace(results, options={"directory": str(outbox)})
        source = without_secret(config.source)
        self.send(
            msgspec.structs.replace(
                config, spill_dir=str(spill_dir), results=results, source=source
            )
        )

    def has_lost_directory(self) -> bool:
        """Whether somebody has removed a directory that it writes to. Such a worker is of no use:
        a new directory of the same name is outside its sandbox."""
        found = ((identity, _identity(one)) for one, identity in self._directories.items())
        return any(now is None or now != before for before, now in found)

    async def ready(self) -> Ready | Failed:
        """Wait until its session is open. `Failed`: the source could not be opened.

        Raises `WorkerDied`. May be awaited repeatedly and concurrently.
        """
        opened = await asyncio.shield(self._opened)
        return opened if opened is not None else await self._raise_died()

    async def execute(
        self, execute: Execute, on_progress: OnProgress, permit: UploadPermit | None = None
    ) -> Done | Failed:
        """Run one statement to its end; stages and progress go to `on_progress` meanwhile.

        `permit` signs what it asks of a store of results; a request that it does not permit kills
        the worker.

        Waits for `ready` first. Raises `WorkerDied` when the worker exits without an outcome,
        also when someone stops it; by then it has been reaped. Cancelling this task does not
        stop the statement: `WorkerPool.stop` does, from another task, at any time.
        """
        opened = await self.ready()
        if isinstance(opened, Failed):
            return opened
        if not self.reusable or self.is_reaped:
            return await self._raise_died()
        loop = asyncio.get_running_loop()
        self._opened, self._outcome = loop.create_future(), loop.create_future()
        self._on_progress, self._permit, self.started = on_progress, permit, True
        self.runs += 1
        self.send(execute)
        outcome = await asyncio.shield(self._outcome)
        return outcome if outcome is not None else await self._raise_died()

    def interrupt(self) -> None:
        """Ask it to stop and exit. Without a guarantee; it must not be used after this."""
        self.reusable = False
        self._cancel_copying()
        self.send(Interrupt())

    def extend_lease(self, deadline_s: float) -> None:
        """Let its running statement continue until then (`frames.ExtendLease`)."""
        self.send(ExtendLease(deadline_s))

    def send(self, frame: Frame) -> None:
        """Send a frame, or nothing when it has exited, which `wait_reaped` reports."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(frame))

    async def wait_reaped(self) -> int | None:
        """Wait until it is reaped and its spill directory removed; its exit code, if known."""
        return await asyncio.shield(self._reaped)

    def set_reaped(self, exit_code: int | None) -> None:
        """For the pool: it is reaped. Wakes all its waiters."""
        self.reusable = False
        self.requests.close()
        if not self._reaped.done():
            self._reaped.set_result(exit_code)
        for waiting in (self._opened, self._outcome):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def _raise_died(self) -> NoReturn:
        raise WorkerDied(await self.wait_reaped())

    def on_connected(self, transport: asyncio.WriteTransport) -> None:
        """For the protocol: the connection is open."""
        self._transport = transport

    def on_frame(self, frame: FromWorker) -> None:
        """For the protocol: it sent this."""
        match frame:
            case StageReached() | Progress():
                if self._on_progress is not None:
                    self._on_progress(frame)
            case Ready():
                self._set_opened(frame)
            case InternalError():
                self._report_error(frame)
            case Sign():
                self._sign(frame)
            case NeedCopies():
                self._begin_copying(frame.request)
            case Done() | Failed():
                self._set_outcome(frame)

    def _report_error(self, frame: InternalError) -> None:
        """Once in a worker's life: it is not used again, and must not fill the log."""
        if self.internal_error is not None:
            return
        self.internal_error, self.reusable = frame, False
        fields = {"exception": frame.exception, "traceback": frame.traceback}
        _log.error("worker_internal_error", pid=self.pid, **fields)

    def _sign(self, frame: Sign) -> None:
        """Outside a statement, and beyond its own file, no worker of ours asks for anything."""
        request = UnsignedRequest(
            *(frame.method, frame.host, frame.path, frame.query),
            headers=frame.headers,
            payload_sha256=frame.payload_sha256,
        )
        permit = (self._permit if self._reads_what_is_sent() else None) or NO_UPLOAD
        try:
            headers = dict(permit.sign(request, _bounded(frame.offset_s)))
        except NotPermittedError:
            _log.error("worker_upload_refused", pid=self.pid)
            self.reusable = False
            self.process.kill()
        else:
            self.send(Signed(frame.number, headers))

    def _reads_what_is_sent(self) -> bool:
        """One of ours asks and waits. What nobody reads would be kept here."""
        transport = self._transport
        return transport is None or transport.get_write_buffer_size() <= _MAX_UNREAD_BYTES

    def _begin_copying(self, request: CopiesRequest) -> None:
        """Outside a statement no worker of ours asks, nor twice at once, nor for anything else."""
        if not self.reusable or self.config is None:
            return
        is_running = self._outcome is not None and not self._outcome.done()
        is_busy = self._copying is not None and not self._copying.done()
        if not is_running or is_busy or not request.is_valid:
            _log.error("worker_copies_refused", pid=self.pid)
            self.reusable = False
            self.process.kill()
            return
        copying = self._copy(self.config, request)
        self._copying = asyncio.get_running_loop().create_task(copying)

    async def _copy(self, config: WorkerConfig, request: CopiesRequest) -> None:
        limits = EngineLimits(config.memory_bytes, config.threads, "", config.spill_bytes)
        made = CopiesMade()
        if self.write_copies is not None:
            made = await self.write_copies(config.source, request, limits, self.handle)
        self.send(Copied(made))

    def _cancel_copying(self) -> None:
        """Once: a second call would end the wait for what the first one ends."""
        if self._copying is not None and not self._copying.cancelling():
            self._copying.cancel()

    async def end_copying(self) -> None:
        """For the pool: it has exited. Return when nothing is copied for it any more."""
        self._cancel_copying()
        if self._copying is not None:
            await asyncio.wait([self._copying])

    def _set_outcome(self, frame: Done | Failed) -> None:
        """An internal error leaves a worker in an unknown state, so it is not used again."""
        self._on_progress = self._permit = None
        if isinstance(frame, Failed):
            self.interrupted = self.interrupted or frame.interrupted
            if frame.interrupted or frame.code == FailureCode.INTERNAL_ERROR:
                self.reusable = False
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(frame)
        elif isinstance(frame, Failed):  # nothing runs: it could not open its source
            self.reusable = False
            self._set_opened(frame)

    def _set_opened(self, frame: Ready | Failed) -> None:
        if not self._opened.done():
            self._opened.set_result(frame)


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        found = directory.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class _WorkerProtocol(asyncio.Protocol):
    """Bytes of the socket to frames of the worker. An invalid frame stops the worker, and so does a
    flood of them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._splitter = FrameSplitter()
        self._transport: asyncio.Transport | None = None
        self._since_s = self._frames = self._bytes = 0.0
        self._is_broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's inherits from nothing
        self._worker.on_connected(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        try:
            for body in self._splitter.feed(data):
                self._count(len(body))
                self._worker.on_frame(decode_from_worker(body))
        except (ValueError, msgspec.DecodeError):
            self._is_broken = True
            _log.error("worker_protocol_error", pid=self._worker.pid)
            self._worker.process.kill()

    def _count(self, size_bytes: int) -> None:
        """`ValueError` for a flood."""
        now_s = time.monotonic()
        if now_s - self._since_s > _FLOOD_S:
            self._since_s, self._frames, self._bytes = now_s, 0, 0
        self._frames += 1
        self._bytes += size_bytes
        if self._frames > _MAX_FRAMES or self._bytes > _MAX_BYTES:
            raise ValueError

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.close()
        self._worker.disconnected.set()


def _bounded(offset_s: float) -> timedelta:
    """What a worker says may be any number. `ValueError` for none."""
    return timedelta(seconds=max(-MAX_OFFSET_S, min(offset_s, MAX_OFFSET_S)))
