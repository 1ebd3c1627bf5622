"""The worker process: takes its configuration, confines itself, runs statements in turn."""

from __future__ import annotations

import os
import shutil
import socket
import traceback
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import msgspec

from queryrun.causes import cause_of
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import (
    limit_file_size,
    limit_memory,
    memory_backstop,
    name_process,
)
from queryrun.processes.given_sockets import GiveSocket, SocketRequests, receive_socket
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.worker.control import Control
from queryrun.worker.errors import EXIT_NOT_SET_UP
from queryrun.worker.frames import (
    MAX_STEP_CHARS,
    MAX_STEPS,
    MAX_TABLES,
    Done,
    Execute,
    Failed,
    InternalError,
    Ready,
    ToWorker,
    Used,
    WorkerConfig,
    decode_to_worker,
)
from queryrun.worker.meter import ProcessMeter
from queryrun.worker.relay_targets import addresses_of
from queryrun.worker.runtime import NodeServices, Opener, WorkerSession

IDLE_NAME = "qr:idle"
"""The process name while no statement runs; otherwise `qr:` and the beginning of the run's id."""
FILE_SIZE_MARGIN_BYTES = 64 * 1024**2
"""So that the writer hits a result's limit first, with a good message, and not the kernel's."""


def run_worker(control: socket.socket, open_session: Opener) -> NoReturn:
    """Serve one node on `control` until interrupted. The process is already set up as a child."""
    requests = receive_socket(control, socket.SOCK_SEQPACKET)
    channel = Channel(control, decode_to_worker)
    config = channel.receive() if requests is not None else None
    if isinstance(config, WorkerConfig) and requests is not None:
        meter = _set_up(channel, config)
        give = SocketRequests(requests).give
        WorkerMain(channel, config, open_session, give, meter).serve()
    os._exit(0)  # never configured: the node closed its end


def _set_up(channel: Channel[ToWorker], config: WorkerConfig) -> ProcessMeter:
    """A worker that could not be confined exits. The node hears why when the machine is short of
    something: no statement is to blame for that."""
    try:
        meter = ProcessMeter()
        confine_worker(config)
    except OSError as error:
        channel.send(internal_error(error))
        if (failure := _failure_of_machine(error)) is not None:
            channel.send(_as_frame(failure))
        os._exit(EXIT_NOT_SET_UP)
    return meter


def confine_worker(config: WorkerConfig) -> None:
    """Limit memory and confine the process to what `config` names. Before any second thread."""
    limit_memory(memory_backstop(config.memory_bytes, config.threads))
    apply_sandbox(sandbox_policy(config))


def sandbox_policy(config: WorkerConfig) -> SandboxPolicy:
    """What this worker needs: its entity's data and copies to read, its own directories to write.

    What a statement makes of a worker must not outlast its run, so it writes no copies.
    """
    outbox = (config.results.options["directory"],) if config.results.kind == "local" else ()
    return SandboxPolicy(
        read=config.source.paths,
        read_write=(config.spill_dir, *outbox),
        given_sockets=bool(addresses_of(config.source, config.results)),
    )


class WorkerMain:
    """The main thread of a configured worker: clean session and spill space per statement."""

    def __init__(
        self,
        channel: Channel[ToWorker],
        config: WorkerConfig,
        open_session: Opener,
        give: GiveSocket,
        meter: ProcessMeter,
    ) -> None:
        self._meter = meter
        self._channel = channel
        self._config = config
        self._open_session = open_session
        self._control = Control(channel, meter)
        self._node = NodeServices(self._control.signer.sign, give, self._control.copies.request)
        self._sessions = 0
        self._spill_dir = ""

    def serve(self) -> NoReturn:
        """Open, report ready, run, repeat. Exits by `os._exit`: no engine can delay that."""
        self._control.start()
        while True:
            spill_dir, session = self._open_next()
            self._serve_session(session)
            while _is_empty(spill_dir) and session.renew():
                self._serve_session(session)
            session.close()
            shutil.rmtree(spill_dir, ignore_errors=True)

    def _serve_session(self, session: WorkerSession) -> None:
        """Report ready, and run one statement."""
        self._send_ready()
        execute = self._control.next_work()
        if execute is None or self._control.interrupted:
            os._exit(0)
        self._run(session, execute)

    def _open_next(self) -> tuple[Path, WorkerSession]:
        """A worker that cannot open a session exits: it cannot switch to another source."""
        try:
            spill_dir = self._next_spill_dir()
            config = msgspec.structs.replace(self._config, spill_dir=str(spill_dir))
            return spill_dir, self._open_session(config, self._node)
        except Exception as error:  # whatever it is, the node must get a result
            self._channel.send(self._failed(error))
            os._exit(1)

    def _next_spill_dir(self) -> Path:
        """A new one per session, so that no session can find the files of another."""
        self._sessions += 1
        spill_dir = Path(self._config.spill_dir) / str(self._sessions)
        spill_dir.mkdir(mode=0o700)
        self._spill_dir = str(spill_dir)
        return spill_dir

    def _send_ready(self) -> None:
        if self._control.interrupted:
            os._exit(0)
        self._channel.send(Ready())

    def _run(self, session: WorkerSession, execute: Execute) -> None:
        """Exits when interrupted, also after success: the node no longer uses this worker."""
        name_process(f"qr:{execute.run_id}")
        outcome = self._outcome(session, execute)
        name_process(IDLE_NAME)
        self._channel.send(outcome)
        if self._control.interrupted:
            os._exit(0)
        if isinstance(outcome, Failed) and outcome.code == FailureCode.INTERNAL_ERROR:
            os._exit(1)  # the state of this process is unknown

    def _outcome(self, session: WorkerSession, execute: Execute) -> Done | Failed:
        """The lease timer runs exactly as long as the statement does."""
        self._limit_files(execute)
        self._meter.begin()
        report = self._control.begin(session, execute.lease_deadline_s, self._spill_dir)
        outcome: Done | Failed
        try:
            outcome = session.run(execute, report)
        except Exception as error:  # whatever it is, the node must get a result
            outcome = self._failed(error)
        finally:
            self._control.end()
        return msgspec.structs.replace(outcome, used=self._used(session))

    def _used(self, session: WorkerSession) -> Used:
        """A remote engine's CPU comes in addition to ours; of memory, the larger peak counts."""
        engine = session.usage()
        cpu_ms, peak_bytes = self._meter.sample()
        return Used(
            cpu_ms=cpu_ms + engine.cpu_ms,
            peak_memory_bytes=max(peak_bytes, engine.peak_memory_bytes),
            read_bytes=engine.read_bytes,
            read_rows=engine.read_rows,
            spilled_bytes=engine.spilled_bytes,
            tables=engine.tables[:MAX_TABLES],
        )

    def _limit_files(self, execute: Execute) -> None:
        largest = max(execute.size_limit_bytes, self._config.spill_bytes) + FILE_SIZE_MARGIN_BYTES
        limit_file_size(largest if execute.size_limit_bytes else 0)

    def _failed(self, error: Exception) -> Failed:
        """After an interrupt every error counts as its consequence, whatever its type."""
        if self._control.interrupted:
            return _as_frame(_INTERRUPTED, interrupted=True)
        if isinstance(error, RunFailed):
            return _as_frame(error.failure)
        if isinstance(error, MemoryError):
            return _as_frame(_OUT_OF_MEMORY)
        self._channel.send(internal_error(error))
        return _as_frame(_failure_of_machine(error) or _INTERNAL_ERROR)


def _failure_of_machine(error: Exception) -> Failure | None:
    """What an error of the machine means for the statement; None when it is none."""
    cause = cause_of(error)
    if cause is None:
        return None
    if cause.may_pass:
        return Failure(FailureCode.ENGINE_UNAVAILABLE, cause.sentence)
    if isinstance(error, OSError):
        return Failure(FailureCode.STORAGE_FAILED, cause.sentence)
    return None


def _is_empty(directory: Path) -> bool:
    """Whether the last statement left nothing behind; only then is its session reused."""
    return next(directory.iterdir(), None) is None


def internal_error(error: BaseException) -> InternalError:
    """What may be logged of an exception: its message may quote SQL, so it is left out."""
    steps = tuple(step[:MAX_STEP_CHARS] for step in _frames(error.__traceback__)[-MAX_STEPS:])
    return InternalError(type(error).__qualname__[:MAX_STEP_CHARS], steps)


def _frames(trace: TracebackType | None) -> list[str]:
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace)
    ]


def _as_frame(failure: Failure, *, interrupted: bool = False) -> Failed:
    """One conversion for all failures, so that every `Failed` frame has the same fields."""
    return Failed(
        code=failure.code.value,
        message=failure.message,
        line=failure.line,
        column=failure.column,
        interrupted=interrupted,
    )


_INTERRUPTED = Failure(FailureCode.STATEMENT_FAILED, "The statement was interrupted.")
_OUT_OF_MEMORY = Failure(
    FailureCode.MEMORY_LIMIT_EXCEEDED, "The statement needs more memory than a run may have."
)
_INTERNAL_ERROR = Failure(
    FailureCode.INTERNAL_ERROR, "The run failed because of an error of the service."
)
