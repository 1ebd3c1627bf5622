"""The sandbox of a child process: the kernel's walls around what its code may do.

Two walls that know nothing of each other: Landlock (`landlock.py`) says which files a process
reaches, a filter (`seccomp.py`) which system calls it makes. They come after the imports, and can
never be taken down again. Limits of memory and files are in `child_setup.py`.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from enum import StrEnum

from queryrun.processes import landlock, seccomp
from queryrun.processes.capabilities import drop_capabilities


class SandboxMode(StrEnum):
    """What a process does when the kernel lacks a wall."""

    REQUIRED = "required"
    """It exits, and runs nothing."""
    BEST_EFFORT = "best_effort"
    """It goes on with the others."""


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """What a process may still access. Every other file, and every connection, is denied."""

    read: tuple[str, ...] = ()
    read_write: tuple[str, ...] = ()
    network: bool = False
    """It may open connections over TCP."""
    ports: tuple[int, ...] = ()
    """Those that it may connect to, where Landlock knows of ports (ABI 4); empty: any."""
    given_sockets: bool = False
    """It may use connected sockets that it is handed (`given_sockets.py`)."""


@dataclass(frozen=True, slots=True)
class SandboxSupport:
    """What this kernel offers. `landlock_abi` is 0 when it has no Landlock or has it disabled."""

    landlock_abi: int
    has_filter: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """The walls that it lacks, in words for an operator."""
        found = []
        if not self.landlock_abi:
            found.append(
                "Landlock (Linux 5.13 or newer, with `landlock` in /sys/kernel/security/lsm)"
            )
        if not self.has_filter:
            found.append(
                "a filter of system calls (seccomp, on x86_64 or aarch64; "
                f"this is {platform.machine()})"
            )
        return tuple(found)


def sandbox_support() -> SandboxSupport:
    """Ask the kernel. Changes nothing."""
    return SandboxSupport(landlock.landlock_abi(), seccomp.is_available())


def set_mode(mode: SandboxMode) -> None:
    """How strict `apply_sandbox` is in this process and in those that it forks."""
    global _mode
    _mode = mode


def apply_sandbox(policy: SandboxPolicy) -> None:
    """Confine this process to `policy` for good. Call it before any second thread starts.

    Raises `OSError` when the kernel refuses a wall that it has; in mode `required` also when it
    lacks one. Then nothing may run here.
    """
    support = sandbox_support()
    if _mode is SandboxMode.REQUIRED and support.missing:
        raise OSError("the sandbox is required, and the kernel lacks a part of it")
    if support.landlock_abi:
        restrict_files(policy)
    if support.has_filter:
        restrict_calls(policy)


def restrict_files(policy: SandboxPolicy) -> None:
    """The first wall."""
    reads = landlock.network_paths() if policy.network or policy.given_sockets else ()
    ports = policy.ports if policy.network else None
    landlock.restrict((*policy.read, *reads), policy.read_write, ports)


def restrict_calls(policy: SandboxPolicy) -> None:
    """The second wall. What it allows may do more for root, so that goes too."""
    drop_capabilities()
    seccomp.install(network=policy.network, given_sockets=policy.given_sockets)


_mode = SandboxMode.BEST_EFFORT
