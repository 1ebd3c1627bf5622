"""How much memory a process of a test has used."""

from __future__ import annotations

import os


class PeakMemory:
    """The most that this program had resident since it was executed.

    Not `ru_maxrss`: that one begins with the size which the parent had when it started this
    program (execve(2) preserves resource usage), and a process of pytest grows to a gigabyte.
    Make it before the process is confined: it opens a file.
    """

    def __init__(self) -> None:
        self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)

    def peak_bytes(self) -> int:
        """VmHWM of proc_pid_status(5), which the kernel gives in KiB."""
        status = os.pread(self._status, 8192, 0).decode()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
