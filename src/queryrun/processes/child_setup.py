"""The first steps of a child process: exit with its parent, a separate group, limits.

Used by the fork server and by the processes that it forks. Nothing here starts a thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

MAX_DESCRIPTORS = 16_384
"""Open files per process: enough for a directory of many Parquet files."""
MAX_TASKS_OF_USER = 16_384
"""How many processes and threads its user may have, all together, for it to start one more thread.
Far more than a node needs: so that no child process uses up those that the node may have."""
MAX_STACK_BYTES = 8 * 1024**2
"""Of the main thread: its growth does not count as memory of RLIMIT_DATA."""

MEMORY_BACKSTOP_FACTOR = 1.3
MEMORY_BACKSTOP_BASE_BYTES = 2 * 1024**3
"""Beyond the engine's own limit: interpreter, libraries, and single values that functions build
outside the engine's count (`range(500000000)` is 4 GB). The engine's limit comes first."""
STACK_BYTES_PER_THREAD = 8 * 1024**2

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_NAME_BYTES = 15
_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel SIGKILL this process when the parent's *thread* that forked it exits.

    Exits at once if the parent exited before the request. fork clears the setting, so every
    process sets its own.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def ignore_terminal_signals() -> None:
    """Ignore signals that are meant for the node: its workers run on while it drains on SIGTERM.

    A service manager sends SIGTERM to every process of the service, a terminal SIGINT to the
    group. Child processes exit when the node requests it, when it has exited, or by SIGKILL.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def keep_exit_statuses() -> None:
    """Have the kernel keep the exit status of a child until it is asked for.

    Whoever ignores SIGCHLD when it starts us passes that on, and children vanish with their status.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def become_child(parent_pid: int, keep: int) -> None:
    """Separate a fresh fork from its parent: group, signals, descriptors, first limits.

    `keep` is the only descriptor that stays open. 0, 1 and 2 become /dev/null: what an engine
    prints may contain SQL.
    """
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)  # the fork server does it too; the first call counts
    die_with_parent(parent_pid)
    _default_signals()
    _close_descriptors_except(keep)
    _prefer_for_oom_kill()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)
    _lower(resource.RLIMIT_NPROC, MAX_TASKS_OF_USER)
    _lower(resource.RLIMIT_STACK, MAX_STACK_BYTES)
    _lower(resource.RLIMIT_MEMLOCK, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def name_process(name: str) -> None:
    """Show `name` (its first 15 bytes) as this process's name in `ps`, `top` and /proc/PID/comm."""
    buffer = ctypes.create_string_buffer(name.encode()[:_NAME_BYTES])
    _libc.prctl(_PR_SET_NAME, buffer, 0, 0, 0)


def limit_memory(size_bytes: int) -> None:
    """Let the kernel refuse allocations beyond `size_bytes` of private writable memory."""
    _lower(resource.RLIMIT_DATA, size_bytes)


def memory_backstop(engine_bytes: int, threads: int) -> int:
    """What `limit_memory` may allow a process whose engine has these limits: RLIMIT_DATA counts
    thread stacks in full."""
    engine = int(engine_bytes * MEMORY_BACKSTOP_FACTOR)
    return engine + STACK_BYTES_PER_THREAD * (threads + 4) + MEMORY_BACKSTOP_BASE_BYTES


def limit_file_size(size_bytes: int) -> None:
    """Let writes beyond `size_bytes` into any file fail with EFBIG; 0 lifts the limit again."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    requested = size_bytes or hard
    if hard != resource.RLIM_INFINITY:
        requested = min(
            requested, hard
        )  # the node's own limit stays: a higher one would be refused
    resource.setrlimit(resource.RLIMIT_FSIZE, (requested, hard))


def _default_signals() -> None:
    kept = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - kept:
        with contextlib.suppress(OSError, ValueError):  # the C library's own real-time signals
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ignore_terminal_signals()


def _close_descriptors_except(keep: int) -> None:
    """Descriptors of the fork server must not leak: one may be another worker's socket."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - plain names are what we need
        if int(name) > 2 and int(name) != keep:
            with contextlib.suppress(OSError):  # the listing's own descriptor
                os.close(int(name))


def _prefer_for_oom_kill() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
