"""Process handles: name a worker process, and find exactly that one, from any process.

A handle is `process:<pid>:<start>:<boot>`: the pid, the process's start in clock ticks since
boot (proc(5), `/proc/<pid>/stat` field 22) and the kernel's boot id. Together they name one
process forever; a reused pid has another start. A handle is valid on the machine it was made
on. Any other machine sees another boot id and treats the process as exited, so the caller must
know that the handle's node ran here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PREFIX = "process"
_SIGNAL_PROCESS_GROUP = 1 << 2  # PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9


@dataclass(frozen=True, slots=True)
class _ProcessId:
    pid: int
    start: int
    boot: str


def handle_of(pid: int) -> str:
    """The handle of a process that is not reaped yet. `ProcessLookupError`: no such process."""
    status = _status(pid)
    if status is None:
        raise ProcessLookupError(errno.ESRCH, "no such process")
    return f"{_PREFIX}:{pid}:{status[1]}:{_boot_id()}"


def open_process(handle: str) -> int | None:
    """A pidfd of exactly this process; None when it has exited. `ValueError`: no handle."""
    process = _parse(handle)
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if _is_running(process):  # looked up after the pidfd was opened: the pidfd is this process
        return pidfd
    os.close(pidfd)
    return None


def kill_group(pidfd: int, pid: int) -> None:
    """SIGKILL the process behind `pidfd` and the group it leads. Does nothing when it was reaped.

    Never hits a process that took over the pid: either the kernel finds the group through the
    pidfd, or (before Linux 6.9) the pidfd proves a moment before that the pid is still taken.
    """
    with contextlib.suppress(ProcessLookupError):
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, _SIGNAL_PROCESS_GROUP)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            _kill_group_by_pid(pidfd, pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)  # also when it leads no group


def _kill_group_by_pid(pidfd: int, pid: int) -> None:
    signal.pidfd_send_signal(pidfd, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _is_running(process: _ProcessId) -> bool:
    status = _status(process.pid) if process.boot == _boot_id() else None
    return status is not None and status[1] == process.start and status[0] not in "ZX"


def pid_of(handle: str) -> int:
    """The pid in a handle, which another process may have by now. `ValueError`: no handle."""
    return _parse(handle).pid


def _parse(handle: str) -> _ProcessId:
    prefix, pid, start, boot = handle.split(":", 3)
    if prefix != _PREFIX:
        raise ValueError("not the handle of a process")
    return _ProcessId(int(pid), int(start), boot)


def _status(pid: int) -> tuple[str, int] | None:
    """State letter and start ticks. The command before them may hold anything, so cut behind it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
