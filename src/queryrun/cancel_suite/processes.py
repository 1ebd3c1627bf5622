"""The process table of the server's machine (proc(5)): what really runs, whoever says what.

A worker that runs a statement carries `qr:` and the first 12 characters of the run's id as its
name, so a run's processes can be found without asking the server.
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
_LOOK_EVERY_S = 0.002


def name_of(run_id: str) -> str:
    """The name of a worker while it runs this run: 15 bytes, all that the kernel keeps."""
    return f"qr:{run_id[:12]}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def comm_of(pid: int) -> str:
    """The process's name; empty when it is gone."""
    return _read(f"/proc/{pid}/comm").strip()


def state_of(pid: int) -> str:
    """The letter of its state (`Z`: ended, not reaped); empty when it is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[0] if fields else ""


def cpu_s(pid: int) -> float:
    """Seconds of CPU that all its threads have used; 0 when it is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else 0.0


def proportional_bytes(pid: int) -> int:
    """Its resident memory, pages it shares with others counted in shares; 0 when it is gone."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def in_table(pid: int) -> bool:
    """Whether the pid is in the process table, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def open_paths(pid: int) -> list[str]:
    """What its descriptors point to; empty when it is gone."""
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        found.extend(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    return found


@dataclass(frozen=True, slots=True)
class Busy:
    """A worker that is computing a run, and a pidfd that proves its end. `close` it."""

    pid: int
    pidfd: int
    used_s: float
    """CPU used for this run when it was found."""

    def has_ended(self) -> bool:
        """Whether the kernel says that exactly this process has ended."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go of the pidfd."""
        os.close(self.pidfd)


class ServerProcesses:
    """One server process of this machine and everything below it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def below(self) -> list[int]:
        """Every descendant of the server."""
        return list(_descendants(self.pid))

    def of_run(self, run_id: str) -> list[int]:
        """The processes that carry the run's name."""
        name = name_of(run_id)
        return [pid for pid in self.below() if comm_of(pid) == name]

    def named(self) -> dict[str, int]:
        """Every worker that runs something: name -> pid."""
        names = ((comm_of(pid), pid) for pid in self.below())
        return {name: pid for name, pid in names if name.startswith("qr:") and name != "qr:idle"}

    async def computing(self, run_id: str, used_s: float, within_s: float) -> Busy | None:
        """The run's worker once it has used `used_s` of CPU for it; None if that never comes."""
        deadline = asyncio.get_running_loop().time() + within_s
        began: dict[int, float] = {}
        while asyncio.get_running_loop().time() < deadline:
            for pid in self.of_run(run_id):
                used = cpu_s(pid) - began.setdefault(pid, cpu_s(pid))
                if used >= used_s and (busy := _watched(pid, run_id, used)) is not None:
                    return busy
            if began and not any(in_table(pid) for pid in began):
                return None
            await asyncio.sleep(_LOOK_EVERY_S)
        return None


def _watched(pid: int, run_id: str, used_s: float) -> Busy | None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if comm_of(pid) == name_of(run_id):  # looked up after the pidfd was opened: it is this one
        return Busy(pid, pidfd, used_s)
    os.close(pidfd)
    return None


def _descendants(pid: int) -> Iterator[int]:
    for child in _read(f"/proc/{pid}/task/{pid}/children").split():
        yield int(child)
        yield from _descendants(int(child))
