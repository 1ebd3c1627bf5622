"""The system calls of a child process: which are allowed, with what arguments, and why.

Measured: every call that the worker, the guard, the catalog, the preview, the relay and the
remote-stop process were seen to make after their sandbox was up, over the tests of all formats,
engines and stores. A call that is in no table here fails with EPERM.

The numbers are those of the kernel's own headers: x86_64, then aarch64 (None: it has no such call).
"""

from __future__ import annotations

from dataclasses import dataclass

_ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Argument:
    """A test of one argument: its low 32 bits under `mask` are `value`. `wide`: all 64 bits are."""

    index: int
    value: int
    mask: int = _ALL_BITS
    wide: bool = False


Case = tuple[Argument, ...]
"""Tests that hold together."""

OWN_PID = -1
"""A `value` that stands for the pid of the process that the filter is made for."""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. Allowed in one of the cases `only`, if there are any, and in no `never`."""

    name: str
    x86_64: int | None
    aarch64: int | None
    why: str
    only: tuple[Case, ...] = ()
    never: tuple[Case, ...] = ()


def _one_of(index: int, *values: int) -> tuple[Case, ...]:
    return tuple((Argument(index, value),) for value in values)


_O_TRUNC, _O_TRUNC_AND_ACCESS = 0x200, 0x203
"""O_TRUNC with O_RDONLY cuts a file that may only be read; Landlock knows of it since Linux 6.2."""
_FIFO, _TYPE_OF_FILE = 0o010000, 0o170000
_MSG_FASTOPEN = 0x20000000
"""A send that also connects: Landlock does not see it."""
_THREAD, _DETACHED = 0x3D0F00, 0x400000
"""The flags with which the C library starts a thread; musl adds one that means nothing."""
_MAP_SHARED_ANONYMOUS, _MAP_GROWSDOWN = 0x21, 0x100
_KSM, _HWPOISON, _SOFT_OFFLINE = 12, 100, 101
_RLIMIT_FSIZE = 1
_LOCKS_AND_FLAGS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)
"""Duplicate, flags of descriptors and files, file locks. Not: leases, owners and signals of
descriptors, notifications, seals."""
_SET_PIPE_SIZE, _PIPE_BYTES = 1031, 1024 * 1024
"""The one size that a result's pipe is given (`copy_pipe.PIPE_BYTES`): a pipe holds memory of the
kernel's, which no limit of a process counts."""
_TCGETS, _TCGETS2, _TIOCGWINSZ = 0x5401, 0x802C542A, 0x5413
_FIONBIO, _FIONREAD, _FIOCLEX, _FIONCLEX, _FICLONE = 0x5421, 0x541B, 0x5451, 0x5450, 0x40049409
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41

_AF_UNIX, _AF_INET, _AF_INET6, _STREAM, _DGRAM, _TCP, _UDP = 1, 2, 10, 1, 2, 6, 17

ALLOWED: tuple[Call, ...] = (
    # --- files, which Landlock confines to the right ones ---
    Call("read", 0, 63, "data, libraries, pipes"),
    Call("write", 1, 64, "results, spill, pipes"),
    Call("readv", 19, 65, "the pipe of a result, into one buffer"),
    Call("writev", 20, 66, "buffered writes of the C library"),
    Call("pread64", 17, 67, "the engine reads data by position"),
    Call("pwrite64", 18, 68, "the engine writes results and spill by position"),
    Call("preadv", 295, 69, "older C libraries: see preadv2"),
    Call("preadv2", 327, 286, "digests a result while the engine writes it"),
    Call("lseek", 8, 62, "sizes and positions of files"),
    Call("close", 3, 57, "descriptors"),
    Call(
        *("open", 2, None, "imports; the engine's files"),
        never=((Argument(1, _O_TRUNC, mask=_O_TRUNC_AND_ACCESS),),),
    ),
    Call(
        *("openat", 257, 56, "imports; the engine's files"),
        never=((Argument(2, _O_TRUNC, mask=_O_TRUNC_AND_ACCESS),),),
    ),
    Call("stat", 4, None, "imports; which files a table has"),
    Call("lstat", 6, None, "removing a spill directory"),
    Call("fstat", 5, 80, "sizes of files"),
    Call("newfstatat", 262, 79, "imports; which files a table has"),
    Call("statx", 332, 291, "newer C libraries: see newfstatat"),
    Call("access", 21, None, "whether a file is there"),
    Call("faccessat", 269, 48, "whether a file is there"),
    Call("faccessat2", 439, 439, "whether a file is there"),
    Call("readlink", 89, None, "real paths of data files"),
    Call("readlinkat", 267, 78, "real paths of data files"),
    Call("getcwd", 79, 17, "imports"),
    Call("getdents64", 217, 61, "lists data directories"),
    Call("statfs", 137, 43, "free space for spill"),
    Call("fstatfs", 138, 44, "free space for spill"),
    Call("mkdir", 83, None, "spill directories"),
    Call("mkdirat", 258, 34, "spill directories"),
    Call("rmdir", 84, None, "spill directories"),
    Call("unlink", 87, None, "spill files and pipes"),
    Call("unlinkat", 263, 35, "spill files and pipes"),
    Call("rename", 82, None, "copies of text files, whole or not at all"),
    Call("renameat", 264, 38, "copies of text files, whole or not at all"),
    Call("renameat2", 316, 276, "newer C libraries: see renameat"),
    Call("link", 86, None, "one version of a copy for a whole statement"),
    Call("linkat", 265, 37, "one version of a copy for a whole statement"),
    Call("symlink", 88, None, "names of data files for the engine, in the spill directory"),
    Call("symlinkat", 266, 36, "names of data files for the engine, in the spill directory"),
    Call(
        *("mknod", 133, None, "the named pipe of a result; no device, no socket"),
        only=((Argument(1, _FIFO, mask=_TYPE_OF_FILE),),),
    ),
    Call(
        *("mknodat", 259, 33, "the named pipe of a result; no device, no socket"),
        only=((Argument(2, _FIFO, mask=_TYPE_OF_FILE),),),
    ),
    Call("ftruncate", 77, 46, "results and spill files, through a descriptor"),
    Call("fallocate", 285, 47, "spill files"),
    Call("fsync", 74, 82, "a result is durable before it is committed"),
    Call("fdatasync", 75, 83, "as fsync"),
    Call("sync_file_range", 277, 84, "begins to write a large result back"),
    Call("fadvise64", 221, 223, "reading ahead"),
    Call("readahead", 187, 213, "reading ahead"),
    Call("flock", 73, 32, "copies of text files are made once"),
    Call(
        *("fcntl", 72, 25, "locks of database files; flags of descriptors; the size of a pipe"),
        only=(
            *_one_of(1, *_LOCKS_AND_FLAGS),
            (Argument(1, _SET_PIPE_SIZE), Argument(2, _PIPE_BYTES, wide=True)),
        ),
    ),
    Call(
        *("ioctl", 16, 29, "is it a terminal; blocking or not; copies that share blocks"),
        only=_one_of(
            1,
            *(_TCGETS, _TCGETS2, _TIOCGWINSZ),
            *(_FIONBIO, _FIONREAD, _FIOCLEX, _FIONCLEX, _FICLONE),
        ),
    ),
    Call("dup", 32, 23, "descriptors"),
    Call("dup3", 292, 24, "descriptors"),
    Call("sendfile", 40, 71, "copies of database files"),
    Call("copy_file_range", 326, 285, "copies of database files"),
    Call("umask", 95, 166, "the C library's temporary files"),
    # --- memory, which RLIMIT_DATA limits: shared memory and growing stacks would not count ---
    Call("brk", 12, 214, "the heap"),
    Call(
        *("mmap", 9, 222, "the heap, stacks, libraries"),
        never=(
            (Argument(3, _MAP_SHARED_ANONYMOUS, mask=_MAP_SHARED_ANONYMOUS),),
            (Argument(3, _MAP_GROWSDOWN, mask=_MAP_GROWSDOWN),),
        ),
    ),
    Call("munmap", 11, 215, "the heap, stacks"),
    Call("mprotect", 10, 226, "stacks, libraries"),
    Call("mremap", 25, 216, "a large allocation grows"),
    Call(
        *("madvise", 28, 233, "memory given back"),
        never=_one_of(2, _KSM, _HWPOISON, _SOFT_OFFLINE),
    ),
    Call("mincore", 27, 232, "allocators ask what is resident"),
    Call("membarrier", 324, 283, "barriers of lock-free code"),
    # --- threads and the end ---
    Call(
        *("clone", 56, 220, "threads; no process"),
        only=((Argument(0, _THREAD, mask=_ALL_BITS & ~_DETACHED),),),
    ),
    Call("futex", 202, 98, "locks"),
    Call("set_robust_list", 273, 99, "a thread starts"),
    Call("rseq", 334, 293, "a thread starts"),
    Call("set_tid_address", 218, 96, "a thread starts"),
    Call("sched_yield", 24, 124, "spin locks"),
    Call("sched_getaffinity", 204, 123, "how many processors there are"),
    Call("sched_getparam", 143, 121, "attributes of a thread"),
    Call("sched_getscheduler", 145, 120, "attributes of a thread"),
    Call("getcpu", 309, 168, "arenas per processor"),
    Call("exit", 60, 93, "a thread ends"),
    Call("exit_group", 231, 94, "the process ends"),
    Call("restart_syscall", 219, 128, "an interrupted wait goes on"),
    # --- signals, to itself alone ---
    Call("rt_sigaction", 13, 134, "handlers"),
    Call("rt_sigprocmask", 14, 135, "a thread starts"),
    Call("rt_sigreturn", 15, 139, "the end of a handler"),
    Call("sigaltstack", 131, 132, "stacks of handlers"),
    Call(
        *("kill", 62, 129, "kills itself, or its own group, when its node is gone"),
        only=((Argument(0, 0),), (Argument(0, OWN_PID),)),
    ),
    Call("tgkill", 234, 131, "abort, in itself", only=((Argument(0, OWN_PID),),)),
    Call("setitimer", 38, 103, "dies when its lease ends", only=_one_of(0, 0)),
    # --- what it asks of the kernel ---
    Call("clock_gettime", 228, 113, "time"),
    Call("clock_getres", 229, 114, "time"),
    Call("clock_nanosleep", 230, 115, "pauses"),
    Call("nanosleep", 35, 101, "pauses"),
    Call("gettimeofday", 96, 169, "time"),
    Call("time", 201, None, "time"),
    Call("times", 100, 153, "time"),
    Call("getrusage", 98, 165, "processor time"),
    Call("sysinfo", 99, 179, "memory of the machine"),
    Call("uname", 63, 160, "imports"),
    Call("getrandom", 318, 278, "random numbers"),
    Call("getpid", 39, 172, "itself"),
    Call("getppid", 110, 173, "itself"),
    Call("gettid", 186, 178, "itself"),
    Call("getuid", 102, 174, "itself"),
    Call("geteuid", 107, 175, "itself"),
    Call("getgid", 104, 176, "itself"),
    Call("getegid", 108, 177, "itself"),
    Call("getpgrp", 111, None, "itself"),
    Call("getpgid", 121, 155, "itself"),
    Call(
        *("prctl", 157, 167, "names of threads and of memory"),
        only=_one_of(0, _PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA),
    ),
    Call("getrlimit", 97, 163, "its limits"),
    Call(
        *("prlimit64", 302, 261, "reads its own limits; changes its own limit of file sizes"),
        only=(
            (Argument(0, 0), Argument(2, 0, wide=True)),
            (Argument(0, 0), Argument(1, _RLIMIT_FSIZE)),
        ),
    ),
    # --- the reader of Delta tables, and gRPC: they wait for descriptors that they have ---
    Call("epoll_create1", 291, 20, "waits for several descriptors"),
    Call("epoll_ctl", 233, 21, "waits for several descriptors"),
    Call("epoll_wait", 232, None, "waits for several descriptors"),
    Call("epoll_pwait", 281, 22, "waits for several descriptors"),
    Call("eventfd2", 290, 19, "one thread wakes another"),
    Call(
        *("socketpair", 53, 199, "one thread wakes another: two ends that lead to nobody else"),
        only=((Argument(0, _AF_UNIX), Argument(1, _STREAM, mask=0xF), Argument(2, 0)),),
    ),
    # --- its channel, which is already connected ---
    Call("poll", 7, None, "waits for the node and for pipes"),
    Call("ppoll", 271, 73, "waits for the node and for pipes"),
    Call("recvfrom", 45, 207, "frames of the node"),
    Call("recvmsg", 47, 212, "frames of the node, with a descriptor"),
    Call(
        *("sendto", 44, 206, "frames to the node; to no address, and so to nobody else"),
        only=((Argument(4, 0, wide=True), Argument(3, 0, mask=_MSG_FASTOPEN)),),
    ),
)
"""What every child process may call."""

_SOCKETS = tuple(
    (Argument(0, family), Argument(1, kind, mask=0xF), Argument(2, protocol))
    for family in (_AF_INET, _AF_INET6)
    for kind, protocols in ((_STREAM, (0, _TCP)), (_DGRAM, (0, _UDP)))
    for protocol in protocols
)
"""TCP, and UDP for names. Not: multipath TCP, raw, unix, netlink, packet, ping, vsock, …"""

GIVEN_SOCKETS: tuple[Call, ...] = (
    Call("getsockname", 51, 204, "what kind of socket it is; TLS"),
    Call("getpeername", 52, 205, "TLS"),
    Call("getsockopt", 55, 209, "what kind of socket it is; whether a connection was made"),
    Call("setsockopt", 54, 208, "keep-alive; no delay"),
    Call("shutdown", 48, 210, "the end of a connection"),
    Call("select", 23, None, "the HTTP library looks whether a connection was closed"),
    Call("pselect6", 270, 72, "as select"),
)
"""In addition, for processes that are handed connected sockets: none of them makes one."""

NETWORK: tuple[Call, ...] = (
    *GIVEN_SOCKETS,
    Call("socket", 41, 198, "TCP, and UDP for names", only=_SOCKETS),
    Call("connect", 42, 203, "opens a connection"),
    Call(
        *("sendto", 44, 206, "questions to name servers"),
        only=((Argument(3, 0, mask=_MSG_FASTOPEN),),),
    ),
    Call(
        *("sendmsg", 46, 211, "gRPC; the resolver; a descriptor for a worker"),
        only=((Argument(2, 0, mask=_MSG_FASTOPEN),),),
    ),
    Call(
        *("sendmmsg", 307, 269, "the resolver asks for both kinds of address"),
        only=((Argument(3, 0, mask=_MSG_FASTOPEN),),),
    ),
    Call("pipe2", 293, 59, "gRPC"),
)
"""In addition, for processes that reach an engine or a store elsewhere."""

ABSENT: tuple[Call, ...] = (
    Call("clone3", 435, 435, "its flags are out of a filter's sight: the C library uses clone"),
    Call("openat2", 437, 437, "its flags are out of a filter's sight: openat is used"),
    Call("close_range", 436, 436, "the C library closes one by one"),
    Call("epoll_pwait2", 441, 441, "epoll_pwait is used"),
    Call("futex_waitv", 449, 449, "futex is used"),
)
"""They fail as on a kernel that does not have them (ENOSYS), so that libraries take another way."""

FATAL: tuple[Call, ...] = (
    *(
        Call(name, *numbers, "into another process")
        for name, numbers in {
            "ptrace": (101, 117),
            "process_vm_readv": (310, 270),
            "process_vm_writev": (311, 271),
            "pidfd_getfd": (438, 438),
            "kcmp": (312, 272),
        }.items()
    ),
    *(
        Call(name, *numbers, "another program")
        for name, numbers in {"execve": (59, 221), "execveat": (322, 281)}.items()
    ),
    *(
        Call(name, *numbers, "another view of the system")
        for name, numbers in {
            "unshare": (272, 97),
            "setns": (308, 268),
            "mount": (165, 40),
            "umount2": (166, 39),
            "pivot_root": (155, 41),
            "chroot": (161, 51),
            "move_mount": (429, 429),
            "open_tree": (428, 428),
            "fsopen": (430, 430),
            "fsmount": (432, 432),
            "mount_setattr": (442, 442),
            "open_by_handle_at": (304, 265),
        }.items()
    ),
    *(
        Call(name, *numbers, "parts of the kernel with a long record of holes")
        for name, numbers in {
            "bpf": (321, 280),
            "perf_event_open": (298, 241),
            "userfaultfd": (323, 282),
            "io_uring_setup": (425, 425),
            "io_uring_enter": (426, 426),
            "io_uring_register": (427, 427),
            "keyctl": (250, 219),
            "add_key": (248, 217),
            "request_key": (249, 218),
            "modify_ldt": (154, None),
            "iopl": (172, None),
            "ioperm": (173, None),
        }.items()
    ),
    *(
        Call(name, *numbers, "the machine itself")
        for name, numbers in {
            "init_module": (175, 105),
            "finit_module": (313, 273),
            "delete_module": (176, 106),
            "kexec_load": (246, 104),
            "kexec_file_load": (320, 294),
            "reboot": (169, 142),
            "swapon": (167, 224),
            "swapoff": (168, 225),
        }.items()
    ),
)
"""No library of ours makes these calls: the kernel kills the process at the first one."""
