"""What a command's own process suffers: streams, limits, capabilities, system calls."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_CAPSET = {"x86_64": 126, "aarch64": 91}
_PIDFD_OPEN = 434
_VERSION_3 = 0x20080522
_NOT_OF_ROOT = (0, 1, 2, 3)
"""CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER."""
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _NOT_IMPLEMENTED = 0x7FFF0000, 0x00050000 | 38


def closed(*descriptors: int) -> Callable[[], None]:
    """These standard streams are closed."""

    def close() -> None:
        for number in descriptors:
            os.close(number)

    return close


def limited(kind: int, value: int) -> Callable[[], None]:
    """A limit of the process is as low as this."""

    def limit() -> None:
        resource.setrlimit(kind, (value, value))

    return limit


def without_capabilities() -> None:
    """Root has to obey the permissions of files, like everybody."""
    if os.geteuid() != 0:
        return
    kept = (1 << 64) - 1
    for number in _NOT_OF_ROOT:
        kept &= ~(1 << number)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    header = struct.pack("<Ii", _VERSION_3, 0)
    own = _own_capabilities()
    low, high = low & own & 0xFFFFFFFF, high & (own >> 32)
    data = struct.pack("<6I", low, low, 0, high, high, 0)
    if _libc.syscall(_CAPSET[platform.machine()], header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _own_capabilities() -> int:
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapEff"))


def without_pidfd() -> None:
    """A filter of system calls in which pidfd_open does not exist."""
    load_number = struct.pack("<HBBI", 0x20, 0, 0, 0)
    if_pidfd = struct.pack("<HBBI", 0x15, 0, 1, _PIDFD_OPEN)
    refuse = struct.pack("<HBBI", 0x06, 0, 0, _NOT_IMPLEMENTED)
    allow = struct.pack("<HBBI", 0x06, 0, 0, _ALLOW)
    code = ctypes.create_string_buffer(load_number + if_pidfd + refuse + allow)
    program = struct.pack("<HxxxxxxQ", 4, ctypes.addressof(code))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.prctl(_PR_SET_SECCOMP, _FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
