"""A scripted engine: the statement is the script. Imported by the fork server under test."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from queryrun.engines.base import EngineProgress, EngineUsage
from queryrun.errors import FailureCode, RunFailed
from queryrun.services.guard.process import run_guard
from queryrun.sql.guard.verdict import Verdict
from queryrun.sql.parameters import Parameter
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import NodeServices, Report


class ScriptedSession:
    """Executes the first word of a statement; the rest are its arguments."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._interrupted = threading.Event()
        self._percent: float | None = None
        self._ballast = b""

    def run(self, execute: Execute, report: Report) -> Done:
        report.stage("executing")
        word, *arguments = execute.sql.split()
        script: Callable[..., int] = getattr(self, f"_{word}")
        columns = (("spill_dir", self._config.spill_dir),)
        rows = script(report, *arguments)
        return Done(rows=rows, size_bytes=0, sha256="", columns=columns)

    def interrupt(self) -> None:
        self._interrupted.set()

    def progress(self) -> EngineProgress:
        return EngineProgress(self._percent)

    def usage(self) -> EngineUsage:
        return EngineUsage()

    def renew(self) -> bool:
        return False

    def close(self) -> None:
        self._ballast = b""

    def _rows(self, report: Report, count: str) -> int:
        report.written(int(count), 10 * int(count))
        return int(count)

    def _wait_for_interrupt(self, report: Report) -> int:
        self._interrupted.wait()
        raise RunFailed.of(FailureCode.STATEMENT_FAILED, "interrupted")

    def _ignore(self, report: Report, hold_bytes: str = "0") -> int:
        self._ballast = b"x" * int(hold_bytes)
        report.stage("writing")
        threading.Event().wait()
        return 0

    def _halfway(self, report: Report) -> int:
        report.written(7, 70)
        self._percent = 50.0
        self._interrupted.wait()
        return 0

    def _finish_late(self, report: Report) -> int:
        self._interrupted.wait()
        return 1

    def _fail(self, report: Report, code: str) -> int:
        raise RunFailed.of(FailureCode(code), "as told")

    def _break(self, report: Report) -> int:
        raise KeyError("SELECT secret")

    def _leave(self, report: Report, code: str) -> int:
        os._exit(int(code))

    def _die(self, report: Report) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def _eat(self, report: Report, size_bytes: str) -> int:
        self._ballast = b"x" * int(size_bytes)
        return len(self._ballast)

    def _spill(self, report: Report, name: str) -> int:
        return Path(self._config.spill_dir, name).write_bytes(b"spilled")

    def _read(self, report: Report, path: str) -> int:
        return len(Path(path).read_bytes())

    def _write(self, report: Report, path: str) -> int:
        return Path(path).write_bytes(b"written")

    def _rename(self, report: Report, old: str, new: str) -> int:
        Path(old).write_bytes(b"renamed")
        Path(old).rename(new)
        return 0

    def _link(self, report: Report, old: str, new: str) -> int:
        Path(new).hardlink_to(old)
        return 0

    def _connect(self, report: Report, port: str) -> int:
        socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
        return 1

    def _signal(self, report: Report, pid: str) -> int:
        os.kill(int(pid), 0)
        return 1

    def _limits(self, report: Report) -> int:
        """The largest file it may write, 0 without a limit: a count of rows is never negative."""
        soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        return 0 if soft == resource.RLIM_INFINITY else soft

    def _sockets(self, report: Report) -> int:
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return sum(str(link.readlink()).startswith("socket:") for link in links)


def open_session(config: WorkerConfig, _node: NodeServices) -> ScriptedSession:
    """`broken` in the options: the source cannot be opened. `stuck`: opening never ends."""
    if "broken" in config.source.options:
        raise RunFailed.of(FailureCode.DATA_UNREADABLE, "no data here")
    if "stuck" in config.source.options:
        threading.Event().wait()
    return ScriptedSession(config)


def check_statement(statement: str, dialect: str, _parameters: Sequence[Parameter]) -> Verdict:
    """`crash`: the process dies. `stall`: it computes for ever. `wait`: it stands still. Everything
    else is accepted."""
    if statement.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    while statement.startswith("stall"):
        pass
    if statement.startswith("wait"):
        threading.Event().wait()
    return Verdict(f"{statement} {os.getpid()}")


def worker_main(control: socket.socket) -> NoReturn:
    """The entry point of a worker on the scripted engine."""
    run_worker(control, open_session)


def guard_main(control: socket.socket) -> NoReturn:
    """The entry point of a guard that executes the first word of a statement."""
    run_guard(control, check_statement)
