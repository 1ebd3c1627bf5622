"""The process table of the server's machine (proc(5)): what runs, whatever the server reports.

A worker that runs a statement carries `qr:` and the first 12 characters of the run's id as its
name, so a run's processes can be found without the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_POLL_INTERVAL_S = 0.002


def name_of(run_id: str) -> str:
    """The name of a worker while it runs this run: 15 bytes, all that the kernel keeps."""
    return f"qr:{run_id[:12]}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def comm_of(pid: int) -> str:
    """The process's name; empty when it does not exist."""
    return _read(f"/proc/{pid}/comm").strip()


def state_of(pid: int) -> str:
    """The letter of its state (`Z`: exited, not reaped); empty when it does not exist."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[0] if fields else ""


def cpu_s(pid: int) -> float:
    """Seconds of CPU that its threads have used; 0 when it does not exist."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else 0.0


def proportional_bytes(pid: int) -> int:
    """Its resident memory, shared pages counted in proportion; 0 when it does not exist."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def in_table(pid: int) -> bool:
    """Whether the pid is in the process table, also as a zombie."""
    return Path(f"/proc/{pid}").exists()


def open_paths(pid: int) -> list[str]:
    """The targets of its descriptors; empty when it does not exist."""
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        found.extend(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    return found


@dataclass(frozen=True, slots=True)
class BusyWorker:
    """A worker that computes a run, and a pidfd that reports its exit. `close` it."""

    pid: int
    pidfd: int
    used_s: float
    """CPU used for this run when it was found."""

    def has_exited(self) -> bool:
        """Whether exactly this process has exited, by its pidfd."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the pidfd."""
        os.close(self.pidfd)


class ServerProcesses:
    """One server process of this machine and its descendants."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def below(self) -> list[int]:
        """Every descendant of the server."""
        return list(_descendants(self.pid))

    def of_run(self, run_id: str) -> list[int]:
        """The processes named after the run."""
        name = name_of(run_id)
        return [pid for pid in self.below() if comm_of(pid) == name]

    def named(self) -> dict[str, int]:
        """Every worker that has a run: name -> pid."""
        names = ((comm_of(pid), pid) for pid in self.below())
        return {name: pid for name, pid in names if name.startswith("qr:") and name != "qr:idle"}

    async def computing(self, run_id: str, used_s: float, timeout_s: float) -> BusyWorker | None:
        """The run's worker once it has used `used_s` of CPU for it; None if it exits before."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        start_s: dict[int, float] = {}
        while asyncio.get_running_loop().time() < deadline:
            for pid in self.of_run(run_id):
                used = cpu_s(pid) - start_s.setdefault(pid, cpu_s(pid))
                if used >= used_s and (busy := _open_worker(pid, run_id, used)) is not None:
                    return busy
            if start_s and not any(in_table(pid) for pid in start_s):
                return None
            await asyncio.sleep(_POLL_INTERVAL_S)
        return None


def _open_worker(pid: int, run_id: str, used_s: float) -> BusyWorker | None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if comm_of(pid) == name_of(run_id):  # read after opening the pidfd, so it is this process
        return BusyWorker(pid, pidfd, used_s)
    os.close(pidfd)
    return None


def _descendants(pid: int) -> Iterator[int]:
    for child in _read(f"/proc/{pid}/task/{pid}/children").split():
        yield int(child)
        yield from _descendants(int(child))
