"""System calls of a server that fail, wait or lie: a library that is preloaded into it.

The library is compiled from `shim.c` with the machine's C compiler. The file that controls it is
mapped by every process of the server, so a fault begins and ends in all of them at once.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
VARIABLES = ("LD_PRELOAD", "FAULT_CONTROL", "FAULT_SLOW_READ_MS")
SLOW_TABLE = "slow"
"""Every read of this table's file waits: a statement over it takes time, and no processor."""
_SLOW_READ_MS = 90
_LAYOUT = struct.Struct("<qQIIIIII")
_HITS_AT = 8


class Calls(IntFlag):
    """Kinds of system calls, as `shim.c` numbers them."""

    WRITE = 1
    SYNC = 2
    CREATE = 4
    FORK = 8
    OPEN = 16
    MAKE_DIRECTORY = 32


class Files(IntFlag):
    """Kinds of files, as `shim.c` numbers them."""

    STORE = 1
    RESULTS = 2
    SPILL = 4
    OTHER = 8
    ALL = 15


def compiler() -> str | None:
    """The C compiler of this machine, if it has one."""
    return shutil.which("cc") or shutil.which("gcc")


def build(directory: Path) -> Path:
    """Compile the library into the directory."""
    library = directory / "shim.so"
    program = compiler()
    assert program is not None
    command = [program, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


class Shim:
    """The file that controls the library, and the environment of a server that has it."""

    def __init__(self, directory: Path) -> None:
        library, control = build(directory), directory / "control"
        control.write_bytes(bytes(mmap.PAGESIZE))
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.slow_disk = {"LD_PRELOAD": str(library), "FAULT_SLOW_READ_MS": str(_SLOW_READ_MS)}
        """For a node that no fault meets."""
        self.environ = self.slow_disk | {"FAULT_CONTROL": str(control)}

    @contextmanager
    def failing(
        self,
        calls: Calls,
        files: Files,
        error: int = 0,
        *,
        delay_ms: int = 0,
        torn: bool = False,
    ) -> Iterator[None]:
        """These calls on these files fail with the error, or wait, for the duration."""
        self._write(calls=calls, files=files, error=error, delay_ms=delay_ms, torn=torn)
        try:
            yield
        finally:
            self._write()

    @contextmanager
    def clock_off(self, seconds: float) -> Iterator[None]:
        """The time of day is wrong by so much. The monotonic clock goes on as before."""
        self._write(clock_ns=int(seconds * 1e9))
        try:
            yield
        finally:
            self._write()

    @property
    def hits(self) -> int:
        """How many calls have met a fault so far."""
        (hits,) = struct.unpack_from("<Q", self._map, _HITS_AT)
        return int(hits)

    def close(self) -> None:
        """Release the file."""
        self._map.close()

    def _write(
        self,
        *,
        calls: int = 0,
        files: int = 0,
        error: int = 0,
        delay_ms: int = 0,
        torn: bool = False,
        clock_ns: int = 0,
    ) -> None:
        """`active` is written last when a fault begins, and first when it ends."""
        active = int(calls != 0)
        values = (clock_ns, self.hits, 0, calls, files, error, delay_ms, int(torn))
        _LAYOUT.pack_into(self._map, 0, *values)
        struct.pack_into("<I", self._map, 16, active)
