"""Processes below this one: who is left when a child of ours has died, and their end.

A process can leave its group and its session, but not its ancestors: the kernel hands an orphan to
the nearest ancestor that has asked for them (`child_setup.adopt_orphans`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Set
from pathlib import Path

KILL_TIMEOUT_S = 2.0
"""How long orphans may take to die before the caller hears that they have not."""
_POLL_S = 0.001
_QUIET_READS = 2
"""The kernel's list may leave out a child while others come and go, so it is read again."""


def kill_adopted(ours: Set[int]) -> bool:
    """Kill and reap every child that is not one of `ours`, and what they leave, until none is left.

    False: some did not die in time. Usually there are none, which costs two reads. Call it in a
    process with one thread.
    """
    deadline_s = time.monotonic() + KILL_TIMEOUT_S
    quiet = 0
    while quiet < _QUIET_READS:
        adopted = children() - ours
        if not adopted:
            quiet += 1
            continue
        quiet = 0
        for pid in adopted:
            _kill_and_reap(pid)
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def children() -> set[int]:
    """The pids of this process's children, zombies included."""
    own = os.getpid()
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{own}/children").read_text().split()}
    except FileNotFoundError:  # a kernel without that list
        return {int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == own}


def _kill_and_reap(pid: int) -> None:
    """One that has just been killed may take a moment to become a zombie: the caller repeats."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _parent(process: Path) -> int:
    """Field 4 of its `stat`, counted behind the command, which may hold anything."""
    try:
        text = (process / "stat").read_text(errors="replace")
    except OSError:  # it has ended
        return 0
    return int(text[text.rindex(")") + 2 :].split()[1])
