"""A worker whose native code was taken over: what it reaches beyond its own run.

The code runs inside a real worker, behind every wall. That each wall is what holds is shown by
tests/faults/test_taken_over_worker.py, which takes them away.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from structlog.testing import capture_logs

from queryrun.processes.sandbox import sandbox_support
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets
from tests.integration.worker.escapes import taken_over_pool, victim, works


def _escapes(names: Sequence[str]) -> Outcome:
    """How many of these work. A kernel without a wall has nothing to attack."""
    if missing := sandbox_support().missing:
        return Outcome(0, tried=len(names), remark=f"not tried: no {' and no '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="queryrun-attack-") as directory, capture_logs():
        found = asyncio.run(_working(Path(directory), names))
    return Outcome(len(found), tried=len(names), remark=", ".join(found))


async def _working(root: Path, names: Sequence[str]) -> list[str]:
    found = []
    async with taken_over_pool(root) as pool:
        for name in names:
            with victim(root / "target") as aim:
                if await works(pool, root / "target", name, aim):
                    found.append(name)
            (root / "target" / "listener").unlink()
    return found


@attack("sandbox", "files of others", before="2 worked", bar=0, unit="escapes")
def files_of_others(_targets: Targets) -> Outcome:
    """Results of other runs overwritten, removed, forged and listed; data of another entity."""
    return _escapes(
        [
            *("overwrite", "delete", "new_result", "list_results", "read_data"),
            *("truncate_own_data", "link_of_data", "move_data", "through_link"),
            *("through_own_root", "handle_of_file"),
        ]
    )


@attack("sandbox", "copies that others read", before="2 worked", bar=0, unit="escapes")
def copies_of_others(_targets: Targets) -> Outcome:
    """A copy of a text file overwritten, removed and replaced, by its path and by every descriptor
    that the process has; a forged one put beside it."""
    return _escapes(
        [
            *("poison_copy", "forge_copy", "remove_copy", "copy_by_descriptor"),
            *("copy_through_inherited", "copy_by_link", "copy_moved_in"),
        ]
    )


@attack("sandbox", "attributes of any path", before="4 worked", bar=0, unit="escapes")
def attributes(_targets: Targets) -> Outcome:
    """chmod, chown, utime, setxattr; a device of its own."""
    return _escapes(["chmod", "chown", "utime", "xattr", "device"])


@attack("sandbox", "ways into a network", before="5 worked", bar=0, unit="escapes")
def network(_targets: Targets) -> Outcome:
    """TCP, multipath TCP, TCP fast open, UDP, unix, raw and netlink sockets; a listener."""
    return _escapes(
        [
            *("tcp", "mptcp", "fast_open", "udp", "unix", "raw", "netlink"),
            *("abstract_socket", "receive_connections"),
        ]
    )


@attack("sandbox", "other processes of the user", before="killed", bar=0, unit="escapes")
def other_processes(_targets: Targets) -> Outcome:
    """Killed by limits and signals, slowed, traced, read, robbed of their descriptors."""
    return _escapes(
        [
            *("kill_by_limit", "signal", "signal_by_pidfd", "signal_by_owner"),
            *("priority", "affinity", "ptrace", "read_memory", "read_other_process"),
            *("signal_by_queue", "signal_thread", "signal_group", "take_descriptor"),
            *("compare_processes", "through_parent", "scheduling", "writing_priority"),
        ]
    )


@attack("sandbox", "children that outlive the stop", before="30 of 30", bar=0, unit="escapes")
def children(targets: Targets) -> Outcome:
    """Forked twice, in a session of their own; another program; no signal from the parent."""
    times = 1 if targets.quick else 10
    return _escapes(["fork", "new_program", "execve", "outlive_parent"] * times)


@attack("sandbox", "memory past the backstop", before="worked", bar=0, unit="escapes")
def memory(_targets: Targets) -> Outcome:
    """Shared and System V memory, memory files, stacks that grow, memory of the kernel's."""
    return _escapes(
        [
            *("shared_memory", "growing_stack", "memfd", "sysv_memory", "sysv_queue"),
            *("message_queue", "semaphores", "own_timer", "vmsplice", "add_key", "large_pipe"),
        ]
    )


@attack("sandbox", "the kernel's wide interfaces", before="3 worked", bar=0, unit="escapes")
def interfaces(_targets: Targets) -> Outcome:
    """io_uring, unshare, keyctl, bpf, perf, userfaultfd, inotify, chroot, aio, personality."""
    return _escapes(
        [
            *("io_uring", "unshare", "keyctl", "bpf", "perf", "userfaultfd"),
            *("inotify", "change_root", "asynchronous_io", "personality"),
        ]
    )
