"""Result files in a local directory: written under a hidden name, fsynced, renamed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import datetime
from io import FileIO
from pathlib import Path

from queryrun.causes import Cause, cause_of
from queryrun.errors import FailureCode, RunFailed
from queryrun.results.names import checked_key
from queryrun.results.s3_permit import UploadPermit
from queryrun.results.store import NOT_AS_ANNOUNCED, SharedFile, StoredFile

_CHUNK_BYTES = 256 * 1024
_WRITE_BACK_BYTES = 8 * 1024 * 1024
"""How much is written back to the disk at a time during the write: the fsync at the end then takes
milliseconds, not a second per 3 GB."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""EFBIG: the worker's own limit on file sizes, which is above all others, or the file system's."""
_NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
"""Of opening a link, a directory or a socket in this way."""
_NOT_AS_ANNOUNCED = _NO_FILE | {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM}
"""Of opening what a worker has left behind: that is its doing, other errors are the machine's."""
_SYNC_FILE_RANGE_WRITE = 2
_READ_FINISHED = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""No link is followed, and a pipe does not block."""
_CREATE = os.O_CREAT | os.O_CLOEXEC
_MODE = 0o600

_sync_file_range = ctypes.CDLL(None).sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class LocalResultStore:
    """One flat directory, a file per key. See `ResultStore`."""

    def __init__(self, directory: Path, *, is_outbox: bool = False) -> None:
        """Files of an outbox are moved to another store, which syncs the directory then."""
        self._directory = directory
        self._is_outbox = is_outbox

    def open(self, key: str) -> LocalResultWriter:
        """Start a file. Raises `RunFailed` when the directory cannot take one."""
        return LocalResultWriter(
            self._path(key), self._unfinished(key), syncs_directory=not self._is_outbox
        )

    def stat(self, key: str) -> StoredFile | None:
        """The committed file. Its ETag is made of inode, time and size: no byte is read."""
        try:
            found = self._path(key).lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):  # a link, a pipe: somebody else has put it there
            return None
        etag = f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
        return StoredFile(key, found.st_size, etag)

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`. `FileNotFoundError` if there is no such file, or
        when it has no longer as many bytes."""
        with _opened(self._path(key)) as file:
            file.seek(start)
            left = end - start
            while left > 0:
                chunk = file.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise FileNotFoundError(errno.ENOENT, "it has become shorter")
                left -= len(chunk)
                yield chunk

    def take_over(
        self, outbox: Path | None, key: str, size_bytes: int, *, is_stopped: bool = False
    ) -> bool:
        """Move a finished file out of an outbox. See `ResultStore.take_over`.

        The worker is not trusted: the file is moved out of its reach first, and judged then. It
        must be a plain file without another name, and no process may have it open for writing.
        """
        if outbox is None:
            raise _not_as_announced()
        unfinished = self._unfinished(key)
        with _storage_failures():
            with contextlib.suppress(FileNotFoundError):  # an earlier call has moved it
                (outbox / checked_key(key)).rename(unfinished)
            try:
                file = os.open(unfinished, _READ_FINISHED)
            except OSError as error:
                if error.errno not in _NOT_AS_ANNOUNCED:
                    raise  # it may be whole: what the node lacks at the moment passes
                raise _not_as_announced() from error
            try:
                found = os.fstat(file)
                is_plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
                if stat.S_ISDIR(found.st_mode):  # back to what is removed with the worker
                    unfinished.rename(outbox / secrets.token_hex(8))
                if not is_plain or found.st_size != size_bytes:
                    raise _not_as_announced()
                if not is_stopped and has_writer(file):
                    return False
            finally:
                os.close(file)
            unfinished.rename(self._path(key))
            _sync_directory(self._directory)
        return True

    def upload_permit(self, key: str) -> UploadPermit | None:  # noqa: ARG002 - as the protocol says
        """None: a worker writes to its outbox."""
        return None

    def discard(self, key: str) -> None:
        """Remove the file and what was being written. Durable when it returns."""
        for path in (self._path(key), self._unfinished(key)):
            path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _sync_directory(self._directory)

    def sweep(self, unfinished_before: datetime, committed_before: datetime) -> list[str]:
        """Remove files by when they were last written. See `ResultStore.sweep`."""
        swept = []
        for path in self._directory.glob("*"):
            if path.is_dir():
                continue
            before = unfinished_before if path.suffix == ".part" else committed_before
            with contextlib.suppress(FileNotFoundError):  # removed concurrently
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    swept.append(path.name.removeprefix(".").removesuffix(".part"))
        return swept

    def link(self, key: str, lifetime_s: int) -> str | None:  # noqa: ARG002 - as the protocol says
        """None: a directory serves no links."""
        return None

    def _path(self, key: str) -> Path:
        return self._directory / checked_key(key)

    def _unfinished(self, key: str) -> Path:
        return self._directory / f".{checked_key(key)}.part"


class LocalResultWriter:
    """An unfinished file. See `ResultWriter`."""

    def __init__(self, path: Path, unfinished: Path, *, syncs_directory: bool = True) -> None:
        self._path = path
        self._syncs_directory = syncs_directory
        self._unfinished = unfinished
        self._is_committed = False
        self._shared: Path | None = None
        self._reserved_bytes = 0
        self._target: int | None = None
        """The unfinished file, while `_file` is a spool that is copied there at the commit."""
        self._size_bytes = self._written_back_bytes = 0
        self._is_open = False
        self._open()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the bytes; a full disk has a separate failure code."""
        with _storage_failures(), memoryview(data) as view:
            _write_all(self._file, view)
            self._size_bytes += len(view)
        self._write_back(self._size_bytes)

    def share(self, path: str) -> SharedFile | None:
        """Create the file at `path` and hard-link it under its unfinished name.

        Returns None across file systems, and on file systems without hard links.
        """
        self._shared = Path(path)
        try:
            self._shared.unlink(missing_ok=True)
            file = os.open(self._shared, os.O_RDWR | _CREATE | os.O_EXCL, _MODE)
        except OSError:
            return None
        self._close()
        self._file, self._is_open = file, True
        try:
            self._unfinished.unlink(missing_ok=True)
            self._unfinished.hardlink_to(self._shared)
        except OSError:
            self._close()
            self._unshare()
            self._open()
            return None
        return SharedFile(file, self._write_back, self._sync)

    def reserve(self, size_bytes: int, spool: str) -> None:
        """A file that can be read back is made like a shared one; see `share`.

        Where that is not possible, the spool is a file of its own, and copied at the commit.
        """
        if self.share(spool) is None:
            with _storage_failures():
                self._target = self._file
                self._shared = Path(spool)
                self._file = os.open(spool, os.O_RDWR | _CREATE | os.O_EXCL, _MODE)
        with _storage_failures():
            os.lseek(self._file, size_bytes, os.SEEK_SET)
        self._reserved_bytes = self._size_bytes = size_bytes

    def fill(self, head: bytes) -> None:
        """Write the first bytes over the gap."""
        if len(head) != self._reserved_bytes:
            raise ValueError("another size was reserved")
        with _storage_failures():
            written = 0
            while written < len(head):
                written += os.pwrite(self._file, head[written:], written)

    def committed(self) -> Iterator[bytes]:
        """From the descriptor that was written to: the directory may not be readable here."""
        try:
            yield from _contents(self._file)
        finally:
            self._close()

    def commit(self) -> None:
        """fsync, rename, and fsync of the directory: the file is durable when this returns. In an
        outbox only its bytes are: its name is, once it has been taken over."""
        with _storage_failures():
            self._copy_spool()
        self._sync()
        with _storage_failures():
            if not self._reserved_bytes:
                self._close()
            self._unshare()
            self._unfinished.rename(self._path)
            self._is_committed = True
            if self._syncs_directory:
                _sync_directory(self._path.parent)

    def abort(self) -> None:
        """Close and remove. Never raises: `discard` and `sweep` remove what is left over."""
        with contextlib.suppress(OSError):
            self._close()
        if self._is_committed:
            return
        if self._target is not None:
            os.close(self._target)
            self._target = None
        with contextlib.suppress(OSError):
            self._unshare()
        with contextlib.suppress(OSError):
            self._unfinished.unlink(missing_ok=True)

    def _open(self) -> None:
        with _storage_failures():
            self._file = os.open(self._unfinished, os.O_WRONLY | _CREATE | os.O_TRUNC, _MODE)
        self._is_open = True

    def _copy_spool(self) -> None:
        """The spool's bytes into the unfinished file, synced; nothing if they are there already."""
        target, self._target = self._target, None
        if target is None:
            return
        try:
            for chunk in _contents(self._file):
                _write_all(target, chunk)
            os.fsync(target)
        finally:
            os.close(target)

    def _write_back(self, size_bytes: int) -> None:
        """Start the write-back of new bytes, if they are worth a system call."""
        if size_bytes - self._written_back_bytes >= _WRITE_BACK_BYTES:
            _begin_write_back(self._file, self._written_back_bytes, size_bytes)
            self._written_back_bytes = size_bytes

    def _sync(self) -> None:
        with _storage_failures():
            os.fsync(self._file)

    def _unshare(self) -> None:
        if self._shared is not None:
            self._shared.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._file)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[FileIO]:
    """A finished file, and nothing else that may be there under its name."""
    try:
        file = os.open(path, _READ_FINISHED)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise FileNotFoundError(errno.ENOENT, "no plain file") from error
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(errno.ENOENT, "no plain file")
    with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - a descriptor
        yield opened


_OF_PROCESSES = {Cause.NO_DESCRIPTORS, Cause.NO_PROCESSES, Cause.NO_MEMORY}
"""What a process is short of: no fault of the disk."""


@contextlib.contextmanager
def _storage_failures() -> Iterator[None]:
    """Messages without the `OSError` text, because that contains paths of the server."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise RunFailed.of(
                FailureCode.STORAGE_FULL, "There is no space left for result files"
            ) from error
        if (cause := cause_of(error)) is not None and cause in _OF_PROCESSES:
            raise RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, cause.sentence) from error
        raise RunFailed.of(
            FailureCode.STORAGE_FAILED, "The result file could not be written"
        ) from error


def _write_all(file: int, data: bytes | memoryview) -> None:
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(file, view[written:])


def _contents(file: int) -> Iterator[bytes]:
    """An open file from its beginning."""
    offset = 0
    with _storage_failures():
        while chunk := os.pread(file, _CHUNK_BYTES, offset):
            offset += len(chunk)
            yield chunk


def has_writer(file: int) -> bool:
    """Whether some process may have this file open for writing. `file` is open for reading alone.

    The kernel grants a read lease only for a file without writers. Where it grants none, as on
    some network file systems, the answer is yes.
    """
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return True
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _not_as_announced() -> RunFailed:
    return RunFailed.of(FailureCode.WORKER_LOST, NOT_AS_ANNOUNCED)


def _begin_write_back(file: int, start: int, end: int) -> None:
    """Start the write-back of these bytes without waiting. Only fsync guarantees anything."""
    _sync_file_range(file, start, end - start, _SYNC_FILE_RANGE_WRITE)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
