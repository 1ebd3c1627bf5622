"""Kill the process that a handle names.

Beside `handles.py`, which child processes use: they have no event loop and import none."""

from __future__ import annotations

import asyncio
import os

from queryrun.processes.errors import NotReaped
from queryrun.processes.handles import kill_group, open_process, pid_of

KILL_TIMEOUT_S = 10.0
"""How long a killed process may take to free its memory before it counts as stuck."""


async def kill_process(handle: str, timeout_s: float = KILL_TIMEOUT_S) -> None:
    """Kill the process group of exactly this process; return when the process has exited.

    Works from any process that may signal it, also when it is no child of ours, and does
    nothing when it has already exited. It does not reap the zombie: only its parent can.
    Raises `NotReaped` when it has not exited within `timeout_s`, and `ValueError` for a text that
    is not the handle of a process.
    """
    pidfd = open_process(handle)
    if pidfd is None:
        return
    try:
        pid = pid_of(handle)
        kill_group(pidfd, pid)
        await _wait_exit(pidfd, pid, timeout_s)
    finally:
        os.close(pidfd)


async def _wait_exit(pidfd: int, pid: int, timeout_s: float) -> None:
    """A pidfd becomes readable at the exit, also for a process that is no child of ours."""
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()
    loop.add_reader(pidfd, exited.set)
    try:
        async with asyncio.timeout(timeout_s):
            await exited.wait()
    except TimeoutError:
        raise NotReaped(pid) from None
    finally:
        loop.remove_reader(pidfd)
