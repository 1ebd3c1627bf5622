"""What a process of root's is allowed beyond its user: taken from child processes, for good.

A filter of system calls allows a call to every process alike; a few of them may do more as root:
pipes beyond the user's share of memory, limits raised again (capabilities(7)).
"""

from __future__ import annotations

import ctypes
import os
import struct

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_KEPT = 1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH
"""Files of other owners, which a node that runs as root may have to read; Landlock says which."""
_VERSION_3 = 0x20080522
_SETS = "<6I"
"""effective, permitted, inheritable: the low words of each, then the high ones."""

_libc = ctypes.CDLL(None, use_errno=True)


def drop_capabilities() -> None:
    """Keep what reads and writes files, give up the rest. Changes nothing for other users than
    root. Of the calling thread and those that it starts later."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", _VERSION_3, 0))
    sets = ctypes.create_string_buffer(struct.calcsize(_SETS))
    _check(_libc.capget(header, sets), "capget")
    effective, permitted, *_ = struct.unpack(_SETS, sets.raw[: struct.calcsize(_SETS)])
    kept = struct.pack(_SETS, effective & _KEPT, permitted & _KEPT, 0, 0, 0, 0)
    _check(_libc.capset(header, ctypes.create_string_buffer(kept)), "capset")


def _check(result: int, call: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
