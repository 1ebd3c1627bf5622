"""A worker whose native code was taken over: the statement names an attack, which it carries out.

Imported by the fork server under test. An attack returns when it has worked, and raises `OSError`
when it was refused; the kernel may also kill the worker. `WALLS` takes single walls away, to show
which one it is that holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import msgspec

from queryrun.processes import sandbox
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import NodeServices, Report
from tests.integration.worker.inert import InertSession

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_BEYOND_BACKSTOP_BYTES = 6 * 1024**3
_LARGE_PIPE_BYTES = 64 * 1024**2
_MPTCP, _FASTOPEN, _GROWSDOWN = 262, 0x20000000, 0x100


class Victim(msgspec.Struct, frozen=True):
    """What the attacks are aimed at; all of it belongs to others."""

    result: str
    """A committed result of another run."""
    data: str
    """A file of another entity."""
    own_data: str
    """A file that this worker may read."""
    copies: str
    """Copies of text files that every client of the entity reads."""
    pid: int
    """A process of the same user."""
    port: int
    """A TCP port of this machine where someone listens."""
    udp_port: int
    unix_socket: str
    spill: str = ""
    outbox: str = ""


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call by its number on x86_64; raises `OSError`."""
    result: int = _libc.syscall(ctypes.c_long(number), *map(_as_long, arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"call {number}")
    return result


def _as_long(argument: int | bytes | None) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _overwrite(victim: Victim) -> None:
    Path(victim.result).write_bytes(b"mine")


def _delete(victim: Victim) -> None:
    Path(victim.result).unlink()


def _new_result(victim: Victim) -> None:
    Path(victim.result).with_name("forged").write_bytes(b"mine")


def _read_data(victim: Victim) -> None:
    Path(victim.data).read_bytes()


def _truncate_own_data(victim: Victim) -> None:
    os.close(os.open(victim.own_data, os.O_RDONLY | os.O_TRUNC))


def _poison_copy(victim: Victim) -> None:
    Path(victim.copies, "known.parquet").write_bytes(b"mine")


def _forge_copy(victim: Victim) -> None:
    Path(victim.copies, "new.parquet").write_bytes(b"mine")


def _remove_copy(victim: Victim) -> None:
    Path(victim.copies, "known.parquet").unlink()


def _copy_by_descriptor(victim: Victim) -> None:
    """A copy that is open for reading, as a statement has it, opened anew for writing."""
    descriptor = os.open(Path(victim.copies, "known.parquet"), os.O_RDONLY)
    os.write(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY), b"mine")


def _copy_through_inherited(victim: Victim) -> None:
    """By every descriptor that the process was given, and by its own root and directory."""
    copy = Path(victim.copies, "known.parquet")
    descriptors = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    ways = [*descriptors, "/proc/self/root", "/proc/self/cwd"]
    if not any(_leads_to(copy, path) for way in ways for path in (way, f"{way}{copy}")):
        raise PermissionError


def _leads_to(copy: Path, path: str) -> bool:
    """Whether the copy can be overwritten by this path."""
    with contextlib.suppress(OSError):
        if os.path.samefile(path, copy):  # noqa: PTH121 - of a path in /proc
            os.write(os.open(path, os.O_WRONLY), b"mine")
            return True
    return False


def _copy_by_link(victim: Victim) -> None:
    """A second name of the copy where this process may write."""
    Path(victim.spill, "copy").hardlink_to(Path(victim.copies, "known.parquet"))


def _copy_moved_in(victim: Victim) -> None:
    """A file of its own, moved to where the copy is."""
    own = Path(victim.spill, "own.parquet")
    own.write_bytes(b"mine")
    own.rename(Path(victim.copies, "known.parquet"))


def _list_results(victim: Victim) -> None:
    list(Path(victim.result).parent.iterdir())


def _read_other_process(victim: Victim) -> None:
    Path(f"/proc/{victim.pid}/environ").read_bytes()


def _tcp(victim: Victim) -> None:
    socket.create_connection(("127.0.0.1", victim.port), timeout=5).close()


def _mptcp(victim: Victim) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, _MPTCP) as channel:
        channel.connect(("127.0.0.1", victim.port))


def _fast_open(victim: Victim) -> None:
    with socket.socket() as channel:
        channel.sendto(b"out", _FASTOPEN, ("127.0.0.1", victim.port))


def _udp(victim: Victim) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"out", ("127.0.0.1", victim.udp_port))


def _unix(victim: Victim) -> None:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(victim.unix_socket)


def _raw(victim: Victim) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _netlink(victim: Victim) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def _kill_by_limit(victim: Victim) -> None:
    limits = resource.prlimit(victim.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, limits)


def _signal(victim: Victim) -> None:
    os.kill(victim.pid, 0)


def _signal_by_pidfd(victim: Victim) -> None:
    signal.pidfd_send_signal(os.pidfd_open(victim.pid), 0)


def _signal_by_owner(victim: Victim) -> None:
    file = os.open("/proc/self/status", os.O_RDONLY)
    fcntl.fcntl(file, fcntl.F_SETOWN, victim.pid)


def _priority(victim: Victim) -> None:
    os.setpriority(os.PRIO_PROCESS, victim.pid, 1)


def _affinity(victim: Victim) -> None:
    os.sched_setaffinity(victim.pid, os.sched_getaffinity(victim.pid))


def _chmod(victim: Victim) -> None:
    os.chmod(victim.result, 0o600)  # noqa: PTH101 - the call itself


def _chown(victim: Victim) -> None:
    os.chown(victim.result, os.getuid(), os.getgid())


def _utime(victim: Victim) -> None:
    os.utime(victim.result, (0, 0))


def _xattr(victim: Victim) -> None:
    os.setxattr(victim.result, "user.mark", b"mine")


def _fork(victim: Victim) -> None:
    """A child that leaves the group and the session, and would outlive a kill of either."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                signal.pause()
        os._exit(0)
    time.sleep(0.05)


def _new_program(victim: Victim) -> None:
    os.posix_spawn("/bin/true", ["true"], {})


def _execve(victim: Victim) -> None:
    """`ENOENT` would come after the permission to call it."""
    try:
        os.execv("/nowhere", ["nowhere"])  # noqa: S606
    except FileNotFoundError:
        return


def _outlive_parent(victim: Victim) -> None:
    _call(157, 1, 0)


def _shared_memory(victim: Victim) -> None:
    mmap.mmap(-1, _BEYOND_BACKSTOP_BYTES, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS).close()


def _growing_stack(victim: Victim) -> None:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _GROWSDOWN
    mmap.mmap(-1, _BEYOND_BACKSTOP_BYTES, flags).close()


def _memfd(victim: Victim) -> None:
    os.close(os.memfd_create("mine"))


def _sysv_memory(victim: Victim) -> None:
    _libc.shmctl(_call(29, 0, 4096, 0o600), 0, None)


def _sysv_queue(victim: Victim) -> None:
    _libc.msgctl(_call(68, 0, 0o600), 0, None)


def _io_uring(victim: Victim) -> None:
    os.close(_call(425, 1, ctypes.create_string_buffer(120).raw))


def _unshare(victim: Victim) -> None:
    _call(272, 0)


def _keyctl(victim: Victim) -> None:
    _call(250, 0, -3, 0)


def _ptrace(victim: Victim) -> None:
    _call(101, 0x4206, victim.pid, 0, 0)


def _read_memory(victim: Victim) -> None:
    _call(310, victim.pid, 0, 0, 0, 0, 0)


def _bpf(victim: Victim) -> None:
    array = b"".join(size.to_bytes(4, "little") for size in (2, 4, 4, 1)) + bytes(112)
    os.close(_call(321, 0, array, 72))


def _perf(victim: Victim) -> None:
    """Software clock of this process; the kernel looks at the attributes after the permission."""
    attributes = (1).to_bytes(4, "little") + (112).to_bytes(4, "little") + bytes(104)
    os.close(_call(298, attributes, 0, -1, -1, 0))


def _userfaultfd(victim: Victim) -> None:
    os.close(_call(323, 1))


def _inotify(victim: Victim) -> None:
    os.close(_call(294, 0))


def _message_queue(victim: Victim) -> None:
    name = b"queryrun-attack"
    os.close(_call(240, name, os.O_CREAT | os.O_RDWR, 0o600, None))
    _call(241, name)


def _semaphores(victim: Victim) -> None:
    _call(66, _call(64, 0, 1, 0o600), 0, 0, 0)


def _signal_by_queue(victim: Victim) -> None:
    """Signal 0 with a cause of its own (SI_QUEUE)."""
    _call(129, victim.pid, 0, (0).to_bytes(8, "little") + b"\xff\xff\xff\xff" + bytes(116))


def _signal_thread(victim: Victim) -> None:
    _call(200, victim.pid, 0)


def _signal_group(victim: Victim) -> None:
    """Every process that it may signal: -1 stands for all."""
    os.kill(-1, 0)


def _take_descriptor(victim: Victim) -> None:
    os.close(_call(438, os.pidfd_open(victim.pid), 0, 0))


def _compare_processes(victim: Victim) -> None:
    _call(312, os.getpid(), victim.pid, 3, 0, 0)


def _abstract_socket(victim: Victim) -> None:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind("\0queryrun-attack")


def _receive_connections(victim: Victim) -> None:
    socket.create_server(("127.0.0.1", 0)).close()


def _add_key(victim: Victim) -> None:
    _call(248, b"user", b"queryrun-attack", b"mine", 4, -3)


def _own_timer(victim: Victim) -> None:
    """Memory of the kernel's that no limit of the process counts."""
    _call(222, 0, None, ctypes.create_string_buffer(8).raw)


def _asynchronous_io(victim: Victim) -> None:
    _call(206, 1, ctypes.create_string_buffer(8).raw)


def _vmsplice(victim: Victim) -> None:
    """Pages that are handed to a pipe without a copy."""
    reader, writer = os.pipe()
    page = ctypes.create_string_buffer(64)
    part = ctypes.addressof(page).to_bytes(8, "little") + (64).to_bytes(8, "little")
    _call(278, writer, part, 1, 0)
    os.close(reader)


def _large_pipe(victim: Victim) -> None:
    """Memory of the kernel's, beyond what a pipe may have; it lets root do so."""
    path = Path(victim.spill, "large")
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _LARGE_PIPE_BYTES)


def _scheduling(victim: Victim) -> None:
    _call(144, victim.pid, 0, (0).to_bytes(4, "little"))


def _writing_priority(victim: Victim) -> None:
    """ioprio_set: of the best effort, the lowest."""
    _call(251, 1, victim.pid, (2 << 13) | 7)


def _handle_of_file(victim: Victim) -> None:
    """A name of a file that needs no path: what is opened by it passes by every directory."""
    handle = (128).to_bytes(4, "little") + bytes(132)
    mount = ctypes.create_string_buffer(8).raw
    _call(303, -100, victim.data.encode(), handle, mount, 0)


def _personality(victim: Victim) -> None:
    _call(135, 0x0040000)


def _link_of_data(victim: Victim) -> None:
    """A second name in a directory where it may write."""
    Path(victim.spill, "linked").hardlink_to(victim.own_data)


def _move_data(victim: Victim) -> None:
    Path(victim.own_data).rename(Path(victim.spill, "moved"))


def _through_link(victim: Victim) -> None:
    """A symbolic link to the data of others in a directory of its own."""
    link = Path(victim.spill, "pointer")
    link.symlink_to(victim.data)
    link.read_bytes()


def _through_own_root(victim: Victim) -> None:
    Path(f"/proc/self/root{victim.data}").read_bytes()


def _through_parent(victim: Victim) -> None:
    Path(f"/proc/{os.getppid()}/cmdline").read_bytes()


def _device(victim: Victim) -> None:
    os.mknod(f"{victim.spill}/device", 0o020600, os.makedev(1, 3))


def _change_root(victim: Victim) -> None:
    os.chroot("/")


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack, and the walls that each stop it."""

    run: Callable[[Victim], None]
    layers: frozenset[str]


FILES, CALLS, COPIES = "files", "calls", "copies"
"""Landlock; the filter of system calls; that what Landlock allows has no copies in it."""


def _stopped_by(*layers: str) -> Callable[..., dict[str, Attack]]:
    def attacks(*runs: Callable[[Victim], None]) -> dict[str, Attack]:
        return {run.__name__.strip("_"): Attack(run, frozenset(layers)) for run in runs}

    return attacks


ATTACKS: dict[str, Attack] = {
    **_stopped_by(FILES)(
        *(_overwrite, _delete, _new_result, _read_data, _list_results, _read_other_process),
        *(_poison_copy, _forge_copy, _remove_copy, _copy_by_descriptor),
        *(_copy_through_inherited, _copy_by_link, _copy_moved_in),
        *(_link_of_data, _move_data),
        *(_through_link, _through_own_root, _through_parent),
    ),
    **_stopped_by(FILES, CALLS)(
        *(_truncate_own_data, _tcp, _signal, _signal_by_pidfd),
        *(_device, _ptrace, _new_program, _message_queue, _receive_connections),
        *(_signal_by_queue, _signal_thread, _take_descriptor, _compare_processes),
    ),
    **_stopped_by(CALLS)(
        *(_mptcp, _fast_open, _udp, _unix, _raw, _netlink),
        *(_kill_by_limit, _signal_by_owner, _priority, _affinity),
        *(_chmod, _chown, _utime, _xattr),
        *(_fork, _execve, _outlive_parent),
        *(_shared_memory, _growing_stack, _memfd, _sysv_memory, _sysv_queue),
        *(_io_uring, _unshare, _keyctl, _read_memory, _bpf, _perf, _userfaultfd),
        *(_inotify, _change_root, _semaphores, _signal_group, _abstract_socket, _add_key),
        *(_own_timer, _asynchronous_io, _vmsplice, _scheduling, _writing_priority),
        *(_handle_of_file, _personality, _large_pipe),
    ),
}


class TakenOver(InertSession):
    """A session that attacks."""

    def __init__(self, config: WorkerConfig, _node: NodeServices) -> None:
        self._config = config

    def run(self, execute: Execute, report: Report) -> Done:
        name, _, text = execute.sql.partition(" ")
        victim = msgspec.json.decode(text, type=Victim)
        results = self._config.results.options
        own = {"spill": self._config.spill_dir, "outbox": results.get("directory", "")}
        ATTACKS[name].run(msgspec.structs.replace(victim, **own))
        return Done(rows=1, size_bytes=0, sha256="")


def main(control: socket.socket) -> NoReturn:
    """All walls stand."""
    run_worker(control, TakenOver)


def without_files(control: socket.socket) -> NoReturn:
    """Landlock is missing."""
    sandbox.restrict_files = _nothing
    main(control)


def without_calls(control: socket.socket) -> NoReturn:
    """The filter is missing."""
    sandbox.restrict_calls = _nothing
    main(control)


def without_either(control: socket.socket) -> NoReturn:
    """Both are missing."""
    sandbox.restrict_files = _nothing
    without_calls(control)


def with_copies(control: socket.socket) -> NoReturn:
    """The worker may write where copies are kept."""
    restrict = sandbox.restrict_files

    def restrict_less(policy: sandbox.SandboxPolicy) -> None:
        copies = tuple(path for path in policy.read if path.endswith("/copies"))
        restrict(replace(policy, read_write=(*policy.read_write, *copies)))

    sandbox.restrict_files = restrict_less
    main(control)


def _nothing(policy: sandbox.SandboxPolicy) -> None: ...


ENTRY_POINTS: dict[frozenset[str], str] = {
    frozenset(): f"{__name__}:main",
    frozenset({FILES}): f"{__name__}:without_files",
    frozenset({CALLS}): f"{__name__}:without_calls",
    frozenset({FILES, CALLS}): f"{__name__}:without_either",
    frozenset({COPIES}): f"{__name__}:with_copies",
}
"""By the walls that are missing: what the worker runs."""
