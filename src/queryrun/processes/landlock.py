"""Landlock, the kernel's rules for files and connections, by ctypes.

It holds for the calling thread and what it starts later, so it comes before any other thread.
What an older version (ABI) of it does not know, the filter of system calls refuses: truncating
files that may only be read (before 3), connections (before 4), signals to others and abstract
sockets (before 6).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import queryrun

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_MAKE_FIFO = 1 << 10
_MAKE_SYM = 1 << 12
_REFER = 1 << 13
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15
_FIRST_ABI_RIGHTS = (1 << 13) - 1
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_READ = _READ_FILE | _READ_DIR
_WRITE = (
    _WRITE_FILE
    | _READ_DIR
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_FIFO
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
)
"""A link leads nowhere that the process could not read anyway; the node follows none."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_CLOCKS = ("/usr/share/zoneinfo", "/etc/localtime")
_MACHINE = ("/sys/fs/cgroup", "/sys/devices/system/cpu", "/proc/stat", "/proc/meminfo")
"""DuckDB reads the number of processors; it fails when it finds a file it cannot open."""
_OWN = ("/proc/self", "/dev/urandom", "/dev/random")

_NAME_SERVICE_PORT = 53
"""Of name servers, for answers that are too long for a datagram."""
_NAMES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf")
_CERTIFICATES = ("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates")
"""What a connection needs: name resolution and trusted certificates."""

_libc = ctypes.CDLL(None, use_errno=True)


def landlock_abi() -> int:
    """The version that the kernel offers; 0 when it has no Landlock or has it disabled."""
    version: int = _libc.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    return max(version, 0)


def restrict(
    read: Iterable[str], read_write: Iterable[str], ports: tuple[int, ...] | None = None
) -> None:
    """Deny this thread, and every thread it starts from now on, all other files, for good.

    The Python installation stays readable. `ports`: the only ones that it may connect to; None:
    it opens no connection at all; empty: any port.
    Raises `OSError` when the kernel has no Landlock or refuses.
    """
    abi = landlock_abi()
    rights = _handled_rights(abi)
    network_rights = _network_rights(abi, ports)
    ruleset = _create_ruleset(abi, rights, network_rights)
    try:
        _allow(ruleset, rights & _READ, (*runtime_paths(), *read))
        if network_rights and ports:
            _allow_ports(ruleset, {*ports, _NAME_SERVICE_PORT})
        _allow(ruleset, rights & (_READ | _WRITE), read_write)
        _allow(ruleset, rights & (_READ | _WRITE_FILE), (os.devnull,))
        _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def runtime_paths() -> tuple[str, ...]:
    """What Python and the engines' libraries read while they run: code, never data."""
    paths = sysconfig.get_paths()
    python = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    python |= {str(Path(queryrun.__file__).parent), str(Path(sys.base_prefix) / "lib")}
    return (*sorted(python), *_LIBRARIES, *_CLOCKS, *_MACHINE, *_OWN)


def network_paths() -> tuple[str, ...]:
    """What is read to connect: the resolver's files and the trusted certificates."""
    configured = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    return (*_NAMES, *_CERTIFICATES, *filter(None, configured))


def _handled_rights(abi: int) -> int:
    rights = _FIRST_ABI_RIGHTS
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if abi >= since:
            rights |= right
    return rights


def _network_rights(abi: int, ports: tuple[int, ...] | None) -> int:
    """What the kernel refuses unless a rule allows it. Nobody of ours listens."""
    is_unrestricted = ports is not None and not ports
    return 0 if abi < 4 or is_unrestricted else _BIND_TCP | _CONNECT_TCP


def _allow_ports(ruleset: int, ports: Iterable[int]) -> None:
    for port in sorted(ports):
        rule = struct.pack("=QQ", _CONNECT_TCP, port)
        _check(_libc.syscall(_ADD_RULE, ruleset, _RULE_NET_PORT, rule, 0), "landlock_add_rule")


def _create_ruleset(abi: int, rights: int, network_rights: int) -> int:
    scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("=QQQ", rights, network_rights, scopes)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset: int = _libc.syscall(_CREATE_RULESET, attributes, size, 0)
    return _check(ruleset, "landlock_create_ruleset")


def _allow(ruleset: int, rights: int, paths: Iterable[str]) -> None:
    for path in paths:
        _allow_path(ruleset, rights, path)


def _allow_path(ruleset: int, rights: int, path: str) -> None:
    """For a file the kernel refuses a rule with rights that only directories have. What is not
    there, or out of this user's reach, needs no rule: whoever reads it says that."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        result = _libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        _check(result, "landlock_add_rule")
    finally:
        os.close(descriptor)


def _check(result: int, call: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), call)
    return result
