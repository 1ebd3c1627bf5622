"""The filter's program, run by a small interpreter: every call of the tables, both machines."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from queryrun.processes import sandbox, seccomp
from queryrun.processes.sandbox import SandboxMode, SandboxPolicy, SandboxSupport
from queryrun.processes.seccomp import MACHINES, Machine, assembled, calls
from queryrun.processes.syscalls import ABSENT, ALLOWED, FATAL, NETWORK, OWN_PID, Call

ALLOW, REFUSED, MISSING, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
PID = 4711
BOTH = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)


def decide(
    machine: Machine, number: int, arguments: Sequence[int] = (), *, network: bool = False
) -> int:
    """What the kernel would do with the call."""
    program = assembled(machine, calls(network=network), PID)
    padded = [*arguments, *[0] * (6 - len(arguments))]
    return run(program, struct.pack("<IIQ6Q", number, machine.audit, 0, *padded))


def run(program: Sequence[bytes], data: bytes) -> int:
    """Classic BPF, as far as the filter uses it."""
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = struct.unpack("=HBBI", program[at])
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def number_of(name: str, machine: Machine) -> int:
    """By any table."""
    call = next(one for one in (*ALLOWED, *NETWORK, *ABSENT, *FATAL) if one.name == name)
    number = machine.number(call)
    assert number is not None
    return number


@BOTH
def test_every_allowed_call_passes_with_arguments_that_it_may_have(machine: Machine) -> None:
    for call in ALLOWED:
        number = machine.number(call)
        if number is not None:
            assert decide(machine, number, good_arguments(call)) == ALLOW, call.name


def good_arguments(call: Call) -> list[int]:
    """Those of the first case, if there are any."""
    arguments = [0] * 6
    for test in call.only[0] if call.only else ():
        arguments[test.index] = PID if test.value == OWN_PID else test.value
    return arguments


@BOTH
def test_every_other_number_is_refused(machine: Machine) -> None:
    known = {machine.number(call) for call in (*ALLOWED, *ABSENT, *FATAL)}
    for number in set(range(700)) - known:
        assert decide(machine, number) == REFUSED


@BOTH
def test_what_no_library_calls_is_fatal_and_what_it_may_try_is_missing(machine: Machine) -> None:
    for calls_of, action in ((FATAL, KILL), (ABSENT, MISSING)):
        for call in calls_of:
            number = machine.number(call)
            assert number is None or decide(machine, number, network=True) == action


def test_calls_of_another_architecture_are_fatal() -> None:
    machine = MACHINES["x86_64"]
    program = assembled(machine, ALLOWED, PID)
    i386 = struct.pack("<IIQ6Q", 1, 0x40000003, 0, *[0] * 6)
    assert run(program, i386) == KILL
    assert decide(machine, 0x40000000 | 1) == KILL


@BOTH
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("openat", [0, 0, 0o1000]),
        ("mknodat", [0, 0, 0o020600]),
        ("mknodat", [0, 0, 0o140600]),
        ("mmap", [0, 4096, 3, 0x21]),
        ("mmap", [0, 4096, 3, 0x122]),
        ("mmap", [0, 4096, 3, 0x23]),
        ("clone", [17]),
        ("clone", [0x3D0F00 | 0x10000000]),
        ("clone", [0x4111]),
        ("kill", [1, 9]),
        ("kill", [2**32 - 1, 9]),
        ("tgkill", [1, 1, 9]),
        ("fcntl", [3, 8, 1]),
        ("fcntl", [3, 1024, 0]),
        ("fcntl", [3, 1031, 2 * 1024 * 1024]),
        ("fcntl", [3, 1031, 2**32 + 1024 * 1024]),
        ("ioctl", [0, 0x5412]),
        ("prctl", [1, 0]),
        ("prctl", [4, 0]),
        ("prlimit64", [1, 7, 0]),
        ("prlimit64", [0, 2, 1]),
        ("prlimit64", [0, 2, 2**32]),
        ("sendto", [3, 0, 0, 0, 4096]),
        ("sendto", [3, 0, 0, 0, 2**32]),
        ("sendto", [3, 0, 0, 0x20000000, 0]),
        ("setitimer", [1, 0]),
        ("madvise", [0, 0, 100]),
        ("socket", [2, 1, 0]),
        ("connect", [3]),
        ("sendmsg", [3]),
    ],
)
def test_arguments_that_lead_out_are_refused(
    machine: Machine, name: str, arguments: list[int]
) -> None:
    assert decide(machine, number_of(name, machine), arguments) == REFUSED


@BOTH
@pytest.mark.parametrize(
    ("family", "kind", "protocol", "action"),
    [
        (2, 1, 0, ALLOW),
        (10, 0x80001, 6, ALLOW),
        (2, 0x80802, 17, ALLOW),
        (2, 1, 262, REFUSED),
        (2, 1, 132, REFUSED),
        (2, 3, 1, REFUSED),
        (2, 2, 1, REFUSED),
        (1, 1, 0, REFUSED),
        (16, 3, 0, REFUSED),
        (17, 3, 0, REFUSED),
        (40, 1, 0, REFUSED),
    ],
)
def test_a_process_with_a_network_gets_plain_tcp_and_udp(
    machine: Machine, family: int, kind: int, protocol: int, action: int
) -> None:
    number = number_of("socket", machine)
    assert decide(machine, number, [family, kind, protocol], network=True) == action


def test_every_call_says_why_it_is_there_and_is_there_once() -> None:
    for table in (ALLOWED, NETWORK, ABSENT, FATAL):
        assert all(call.why for call in table)
        assert len({call.name for call in table}) == len(table)
    assert not {call.name for call in (*ALLOWED, *NETWORK)} & {
        call.name for call in (*ABSENT, *FATAL)
    }


def test_an_unsupported_architecture_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not seccomp.is_available()
    with pytest.raises(OSError, match="riscv64"):
        seccomp.install(network=False)
    assert "riscv64" in SandboxSupport(7, has_filter=False).missing[0]


@pytest.mark.parametrize(
    "support", [SandboxSupport(0, has_filter=True), SandboxSupport(7, has_filter=False)]
)
def test_a_process_that_needs_every_wall_goes_no_further_without_one(
    monkeypatch: pytest.MonkeyPatch, support: SandboxSupport
) -> None:
    monkeypatch.setattr(sandbox, "_mode", SandboxMode.REQUIRED)
    monkeypatch.setattr(sandbox, "sandbox_support", lambda: support)
    monkeypatch.setattr(sandbox, "restrict_files", pytest.fail)
    monkeypatch.setattr(sandbox, "restrict_calls", pytest.fail)
    with pytest.raises(OSError, match="required"):
        sandbox.apply_sandbox(SandboxPolicy())


@BOTH
@pytest.mark.parametrize("network", [False, True])
def test_a_prepared_program_is_the_assembled_one(machine: Machine, network: bool) -> None:
    """Only the pid is filled in."""
    prepared = seccomp._template(machine, network)
    program = b"".join(assembled(machine, calls(network=network), PID))
    some_pid, pid = (struct.pack("=I", value) for value in (seccomp._SOME_PID, PID))
    assert prepared.replace(some_pid, pid) == program
