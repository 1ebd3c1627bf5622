"""What a statement uses of this process: CPU time and memory."""

from __future__ import annotations

import os
import resource
import time

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessMeter:
    """Measures one statement at a time. Make it before the process is confined: it opens a file.

    CPU time is exact, of all threads. The peak of the resident memory is the kernel's where it
    grew beyond every earlier statement of this process, and otherwise the largest sample.
    """

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._io = _open_io()
        self._read_bytes = 0
        self._cpu_ns = time.process_time_ns()
        self._highest_bytes = _highest_ever_bytes()
        self._peak_bytes = 0
        self._others_ms = 0

    def begin(self) -> None:
        """A statement begins."""
        self._cpu_ns = time.process_time_ns()
        self._highest_bytes = _highest_ever_bytes()
        self._peak_bytes = 0
        self._others_ms = 0
        self._read_bytes = self._net_read_bytes()
        self.sample()

    def add_cpu(self, cpu_ms: int) -> None:
        """What another process has used for the statement."""
        self._others_ms += cpu_ms

    def sample(self) -> tuple[int, int]:
        """Milliseconds of CPU, and the peak of memory in bytes, since `begin`. From any thread."""
        highest_bytes = _highest_ever_bytes()
        grown = highest_bytes if highest_bytes > self._highest_bytes else 0
        self._peak_bytes = max(self._peak_bytes, self._resident_bytes(), grown)
        own_ms = (time.process_time_ns() - self._cpu_ns) // 1_000_000
        return own_ms + self._others_ms, self._peak_bytes

    def read_bytes(self) -> int:
        """Bytes read since `begin`, less those written: whatever was written to be read again (a
        pipe, intermediate results) is no data of tables. So it is a lower bound, and 0 where the
        kernel does not count."""
        return max(0, self._net_read_bytes() - self._read_bytes)

    def _net_read_bytes(self) -> int:
        if self._io < 0:
            return 0
        read, written, *_ = os.pread(self._io, 200, 0).split(b"\n")
        return int(read.split()[1]) - int(written.split()[1])

    def _resident_bytes(self) -> int:
        _, resident, *_ = os.pread(self._statm, 200, 0).split()
        return int(resident) * _PAGE_BYTES


def _open_io() -> int:
    """-1 where the kernel keeps no such file."""
    try:
        return os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _highest_ever_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
