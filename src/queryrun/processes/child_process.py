"""One forked process as its node sees it: watched through a pidfd until it is reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from pathlib import Path
from typing import Protocol

from queryrun.processes.errors import ForkServerLost
from queryrun.processes.handles import handle_of, kill_group
from queryrun.processes.release import MIN_RELEASE_BYTES, release_memory

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Parent(Protocol):
    """The process that forked it. Only the parent can reap it."""

    @property
    def lost(self) -> bool:
        """Whether the parent has exited; its children are killed with it."""
        ...

    async def reap(self, pid: int) -> int:
        """Reap a dead child and return its wait status. Raises `ForkServerLost`."""
        ...


class ChildProcess:
    """A child process. Takes over `pidfd` and closes it when the process is reaped."""

    def __init__(self, pid: int, pidfd: int, parent: Parent) -> None:
        self.pid = pid
        self.handle = _handle_or_bare(pid)
        self.exited = asyncio.Event()
        """Set as soon as the process has exited and released its memory (it may be a zombie)."""
        self._pidfd = pidfd
        self._parent = parent
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._on_exit)

    @property
    def is_exiting(self) -> bool:
        """Whether it has exited, or is about to because its parent has; known before `exited`."""
        if self.exited.is_set() or self._parent.lost:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self) -> None:
        """SIGKILL it and its process group. Harmless when it has exited, also after `reap`."""
        if self._pidfd < 0:
            return
        kill_group(self._pidfd, self.pid)
        if not self.exited.is_set() and self.resident_bytes() > MIN_RELEASE_BYTES:
            release_memory(self._pidfd)

    def resident_bytes(self) -> int:
        """Its resident memory now, in bytes; 0 once it has exited, or when it cannot be read: a
        stop must not fail because this process may open no more files."""
        try:
            text = Path(f"/proc/{self.pid}/statm").read_text()
        except OSError:
            return 0
        return int(text.split()[1]) * _PAGE_BYTES

    def cpu_s(self) -> float:
        """CPU seconds it has used so far; 0 once it was reaped, or when that cannot be read."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(errors="replace")
        except OSError:
            return 0.0
        fields = text[text.rindex(")") + 2 :].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    async def reap(self) -> int | None:
        """Wait until it exits, remove it from the process table, and return its exit code.

        Negative for a signal. None when its parent has exited, so that the code cannot be read;
        then the kernel has given it a new parent, and the pidfd proves that it has exited.
        For one caller, once.
        """
        await self.exited.wait()
        self.kill()  # kills what is left in its group
        status: int | None
        try:
            status = await self._parent.reap(self.pid)
        except ForkServerLost:
            status = self._reap_orphan()
        finally:
            pidfd, self._pidfd = self._pidfd, -1
            os.close(pidfd)
        return None if status is None else os.waitstatus_to_exitcode(status)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.exited.set()

    def _reap_orphan(self) -> int | None:
        """As process 1 of a container the node itself inherits the children of its fork server."""
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return status if pid else None
        return None


def _handle_or_bare(pid: int) -> str:
    try:
        return handle_of(pid)
    except ProcessLookupError:  # its parent died and it was reaped: there is nothing to name
        return f"process:{pid}:0:-"


def describe_exit(exit_code: int | None) -> str:
    """An exit code as text for a log line."""
    if exit_code is None:
        return "unknown"
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit {exit_code}"
