"""Download a result file by its link: resume, verify, then create the file in one step.

The link's signature is the permission. No token is sent with it and redirects are refused, because
either could give a credential to a host that the service did not name (contract A11, H17).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path

from queryrun_client.core import Core, result_of
from queryrun_client.decrypt import PrivateKey, decrypt_file, is_encrypted
from queryrun_client.effects import Block, Fetch, Flow, NoResponseError, Request, Response
from queryrun_client.errors import ChecksumMismatch, DownloadFailed
from queryrun_client.model import FileInfo, RunInfo
from queryrun_client.retry import RetryState
from queryrun_client.target import file_at, is_written_into, write_into

HASH_BYTES = 1024 * 1024
GONE = frozenset({401, 403, 404, 410})
"""Statuses of an expired link; a new one is requested once."""
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """Where to write a file. `private_key` decrypts one that is encrypted."""

    target: Path
    resume: bool = True
    private_key: PrivateKey | None = field(default=None, repr=False)


class PartFile:
    """A partly downloaded file: `.NAME.HASH.part` beside its target.

    The hash is of the file's id on the server. The server never reuses an id for other bytes, so
    a part is only resumed with its own file; the checksum at the end is a second check.
    """

    def __init__(self, target: Path, file_id: str) -> None:
        tag = hashlib.sha256(file_id.encode()).hexdigest()[:16]
        self.path = target.with_name(f".{target.name}.{tag}.part")
        self._target = target
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._file: FileIO | None = None

    def prepare(self, *, resume: bool) -> None:
        """Hash what an earlier download left, or discard it."""
        self._hash_existing() if resume else self.discard()

    def _hash_existing(self) -> None:
        self._digest, self.size_bytes = hashlib.sha256(), 0
        with _about(self._target), suppress(FileNotFoundError), self.path.open("rb") as file:
            while chunk := file.read(HASH_BYTES):
                self._count(chunk)

    def discard(self) -> None:
        """Remove what was downloaded."""
        self.path.unlink(missing_ok=True)
        self._digest, self.size_bytes = hashlib.sha256(), 0

    def open(self, head: Response) -> bool:
        """Whether the body of this response continues the part (206) or replaces it (200)."""
        with _about(self._target):
            if head.status == 206 and _starts_at(head) == self.size_bytes:
                self._file = self.path.open("ab", buffering=0)
            elif head.status == 200:
                self.discard()
                self._file = self.path.open("wb", buffering=0)
        return self._file is not None

    def write(self, chunk: bytes) -> None:
        """Append the next bytes."""
        if self._file is not None:
            with _about(self._target):
                _write_all(self._file, chunk)
            self._count(chunk)

    def close(self) -> None:
        """Close the file and keep what was downloaded, also after a failed transfer."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def verify(self, file: FileInfo) -> None:
        """Raise `ChecksumMismatch` and remove the part unless size and SHA-256 match."""
        size_fits = file.size_bytes in (None, self.size_bytes)
        if size_fits and file.sha256 in (None, self._digest.hexdigest()):
            return
        self.discard()
        raise ChecksumMismatch(f"file {file.id} has another size or SHA-256 than the server wrote")

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size_bytes += len(chunk)


@contextmanager
def _about(target: Path) -> Iterator[None]:
    """An error of the system names what its caller named, not the file that is made on the way."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _write_all(file: FileIO, chunk: bytes) -> None:
    """A full disk takes a part of a chunk first, and the rest is refused."""
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


def download(core: Core, info: RunInfo, options: DownloadOptions) -> Flow[Path]:
    """Download the file of a complete run; returns its path.

    The target is created after the whole file was verified, by size and SHA-256 if the server
    reports them. One that is no regular file is then written into (`target.py`).
    """
    file = _file(info)
    if file.sha256 is None:
        file = _file((yield from core.read(info.id)))
    if not is_written_into(options.target):
        target = file_at(_target(options, file))
        yield from _download_to(core, info.id, file, replace(options, target=target))
        return options.target if options.target.is_symlink() else target
    with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
        whole = Path(directory) / "result"
        yield from _download_to(core, info.id, file, replace(options, target=whole))
        yield Block(lambda: write_into(whole, options.target))
    return options.target


def _download_to(core: Core, run_id: str, file: FileInfo, options: DownloadOptions) -> Flow[None]:
    """Download to a regular file."""
    part = PartFile(options.target, file.id)
    yield Block(lambda: part.prepare(resume=options.resume))
    whole = yield from _fetch_whole(core, run_id, file, part)
    yield Block(lambda: _move_to_target(part, whole, options.target, options.private_key))


def _fetch_whole(core: Core, run_id: str, file: FileInfo, part: PartFile) -> Flow[FileInfo]:
    """Fetch until the part is complete; returns the file with the link that worked.

    An interrupted transfer is resumed. An expired link is replaced by reading the run again, once.
    """
    retry_state = RetryState(core.options.retry, file.url)
    renewed = False
    while not _is_whole(part, file):
        had_bytes = part.size_bytes
        try:
            head: Response = yield Fetch(_request(file.url, had_bytes), part)
        except NoResponseError as error:
            if part.size_bytes > had_bytes:
                retry_state.reset()
            yield from retry_state.after_no_response(error)
            continue
        if head.status == 200 or (head.status == 206 and part.size_bytes > had_bytes):
            return file
        if _says_complete(head, part.size_bytes):
            return file
        if had_bytes and head.status in (206, 416):
            yield Block(part.discard)
        elif head.status in GONE and not renewed:
            file, renewed = _file((yield from core.read(run_id))), True
        elif not (yield from retry_state.after(head)):
            raise DownloadFailed(_reason(head))
    return file


def _is_whole(part: PartFile, file: FileInfo) -> bool:
    return file.size_bytes is not None and 0 < file.size_bytes == part.size_bytes


def _says_complete(head: Response, have_bytes: int) -> bool:
    """Whether this is the 416 for a range that starts at the end of the file: it is complete."""
    found = CONTENT_RANGE.fullmatch(head.headers.get("content-range", ""))
    return (
        head.status == 416 and have_bytes > 0 and found is not None and found[2] == f"{have_bytes}"
    )


def _request(url: str, have_bytes: int) -> Request:
    headers = {"accept-encoding": "identity"}
    if have_bytes:
        headers["range"] = f"bytes={have_bytes}-"
    return Request("GET", url, headers)


def _starts_at(head: Response) -> int:
    found = CONTENT_RANGE.fullmatch(head.headers.get("content-range", ""))
    return int(found[1]) if found is not None and found[1] else -1


def _reason(head: Response) -> str:
    if 300 <= head.status < 400:
        return f"the link responded {head.status}: redirects are refused"
    return f"the link responded {head.status}"


def _file(info: RunInfo) -> FileInfo:
    file = result_of(info).file
    if file is None:
        raise DownloadFailed("the run has no file")
    return file


def _target(options: DownloadOptions, file: FileInfo) -> Path:
    """The path as given; in a directory, the file's own name, reduced to safe characters."""
    if not options.target.is_dir():
        return options.target
    name = re.sub(r"[^A-Za-z0-9._-]", "_", file.id).lstrip(".") or "result"
    return options.target / (name.removesuffix(".enc") if options.private_key else name)


def _move_to_target(part: PartFile, file: FileInfo, target: Path, key: PrivateKey | None) -> None:
    """Verify, decrypt and rename. Never leaves a partial target, whatever fails."""
    part.verify(file)
    ready = part.path
    if key is not None and is_encrypted(part.path):
        ready = part.path.with_suffix(".plain")
        try:
            decrypt_file(part.path, ready, key)
        except BaseException:
            ready.unlink(missing_ok=True)
            raise
        part.path.unlink()
    _sync(ready)
    ready.replace(target)


def _sync(path: Path) -> None:
    if not path.exists():
        path.touch()
    with path.open("rb") as file:
        os.fsync(file.fileno())
