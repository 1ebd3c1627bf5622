"""A filter of system calls for this process and all its threads, for good (seccomp(2), by ctypes).

The kernel runs a small program, in BPF, before each system call. `assembled` makes it from the
tables in `syscalls.py`; it looks at the call's number and at plain arguments, never at memory.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from queryrun.processes.syscalls import (
    ABSENT,
    ALLOWED,
    FATAL,
    GIVEN_SOCKETS,
    NETWORK,
    OWN_PID,
    Argument,
    Call,
)

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_FLAG_TSYNC = 1

_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_EPERM, _ENOSYS = 1, 38
_REFUSED, _MISSING = _ERRNO | _EPERM, _ERRNO | _ENOSYS

_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_INSTRUCTION_BYTES = 8
_SOME_PID = 0x7EADBEE5
"""Beyond the largest pid that a kernel gives."""
_X32_BIT = 0x40000000
"""Numbers from here on are calls of 32-bit pointers on x86_64, which would pass by our table."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Machine:
    """An architecture that the tables have numbers for."""

    name: str
    audit: int
    """What the kernel calls it in a filter's data."""
    seccomp: int
    """The number of seccomp(2)."""

    def number(self, call: Call) -> int | None:
        """The call's number here; None when there is no such call."""
        return call.x86_64 if self.name == "x86_64" else call.aarch64


MACHINES = {
    "x86_64": Machine("x86_64", 0xC000003E, 317),
    "aarch64": Machine("aarch64", 0xC00000B7, 277),
}
"""Others are unsupported: there is no filter for them."""


def machine() -> Machine | None:
    """The architecture of this process; None for one without a filter."""
    return MACHINES.get(platform.machine()) if struct.calcsize("P") == 8 else None


def is_available() -> bool:
    """Whether this kernel takes our filter on this architecture."""
    here = machine()
    if here is None:
        return False
    action = ctypes.c_uint32(_KILL_PROCESS)
    found: int = _libc.syscall(here.seccomp, _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    return found == 0


def install(*, network: bool, given_sockets: bool = False) -> None:
    """Filter the calls of this process from now on. Raises `OSError` when the kernel refuses.

    `network`: it may also open connections over TCP. `given_sockets`: it may use those that it is
    handed, which is less.
    """
    here = machine()
    if here is None:
        raise OSError(_ENOSYS, f"no filter of system calls for {platform.machine()}")
    program = _template(here, network, given_sockets).replace(_word(_SOME_PID), _word(os.getpid()))
    code = ctypes.create_string_buffer(program)
    length = len(program) // _INSTRUCTION_BYTES
    descriptor = ctypes.create_string_buffer(struct.pack("@HP", length, ctypes.addressof(code)))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    result = _libc.syscall(here.seccomp, _SET_MODE_FILTER, _FLAG_TSYNC, descriptor)
    _check(result, "seccomp")


def prepare() -> None:
    """Make the programs once, in the process that others are forked from: it takes milliseconds."""
    if (here := machine()) is not None:
        for needs in ((False, False), (False, True), (True, False), (True, True)):
            _template(here, *needs)


@cache
def _template(here: Machine, network: bool, given_sockets: bool = False) -> bytes:
    """The program for a process with the pid `_SOME_PID`, which occurs nowhere else in it."""
    allowed = calls(network=network, given_sockets=given_sockets)
    return b"".join(assembled(here, allowed, _SOME_PID))


def _word(value: int) -> bytes:
    return struct.pack("=I", value)


def calls(*, network: bool, given_sockets: bool = False) -> tuple[Call, ...]:
    """The allowed calls. One that the network needs without conditions replaces its namesake."""
    if not network:
        return (*ALLOWED, *GIVEN_SOCKETS) if given_sockets else ALLOWED
    replaced = {call.name for call in NETWORK}
    return (*(call for call in ALLOWED if call.name not in replaced), *NETWORK)


def assembled(here: Machine, allowed: Iterable[Call], pid: int) -> list[bytes]:
    """The filter's instructions: first the architecture, then each call in turn, then EPERM."""
    program = [
        _load(_ARCHITECTURE_AT),
        *_unless(here.audit, [_return(_KILL_PROCESS)]),
        _load(_NUMBER_AT),
    ]
    if here.name == "x86_64":
        program += [_instruction(_IF_AT_LEAST, _X32_BIT, 0, 1), _return(_KILL_PROCESS)]
    for call in allowed:
        program += _on(here.number(call), _decision(call, pid))
    for call in ABSENT:
        program += _on(here.number(call), [_return(_MISSING)])
    for call in FATAL:
        program += _on(here.number(call), [_return(_KILL_PROCESS)])
    return [*program, _return(_REFUSED)]


def _decision(call: Call, pid: int) -> list[bytes]:
    """What to do once the number has matched. Ends with a return on every path."""
    refused = [one for case in call.never for one in _in_case(case, pid, _REFUSED)]
    if not call.only:
        return [*refused, _return(_ALLOW)]
    allowed = [one for case in call.only for one in _in_case(case, pid, _ALLOW)]
    return [*refused, *allowed, _return(_REFUSED)]


def _in_case(case: Sequence[Argument], pid: int, action: int) -> list[bytes]:
    """Return `action` when every test holds, else go on behind these instructions.

    Built from the end: each test jumps over all that follows it in the case.
    """
    program = [_return(action)]
    for test in reversed(case):
        for offset, mask, value in reversed(list(_words(test, pid))):
            masked = [_instruction(_AND, mask)] if mask != 0xFFFFFFFF else []
            jump = _instruction(_IF_EQUAL, value, 0, len(program))
            program = [_load(offset), *masked, jump, *program]
    return program


def _words(test: Argument, pid: int) -> Iterator[tuple[int, int, int]]:
    """The 32-bit words to compare: (offset, mask, value). Both machines are little-endian."""
    offset = _ARGUMENTS_AT + 8 * test.index
    value = pid if test.value == OWN_PID else test.value
    yield offset, test.mask, value & 0xFFFFFFFF
    if test.wide:
        yield offset + 4, 0xFFFFFFFF, value >> 32


def _on(number: int | None, then: list[bytes]) -> list[bytes]:
    """Do `then` for this call; the number stays loaded for the next one."""
    if number is None:
        return []
    return [_instruction(_IF_EQUAL, number, 0, len(then)), *then]


def _unless(value: int, then: list[bytes]) -> list[bytes]:
    return [_instruction(_IF_EQUAL, value, len(then), 0), *then]


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One `struct sock_filter`. Jumps are eight bits: `struct` refuses a longer one."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _check(result: int, call: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), call)
