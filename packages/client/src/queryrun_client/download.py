"""Fetch a result file by its link: resumed after a break, verified, put in place in one step.

The link's signature is the permission: no token is sent to it, and a redirect is refused,
because both would hand something to a host that the service did not name (contract A11, H17).
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from queryrun_client.core import Core, result_of
from queryrun_client.decrypt import PrivateKey, decrypt_file, is_encrypted
from queryrun_client.effects import Block, Fetch, Flow, NoAnswerError, Request, Response
from queryrun_client.errors import ChecksumMismatch, DownloadFailed
from queryrun_client.model import FileInfo, RunInfo
from queryrun_client.tries import Tries

HASH_BYTES = 1024 * 1024
GONE = frozenset({401, 403, 404, 410})
"""How links that have expired are answered; a new one is asked for once."""
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class DownloadWish:
    """Where a file goes. `private_key` decrypts one that is encrypted."""

    target: Path
    resume: bool = True
    private_key: PrivateKey | None = field(default=None, repr=False)


class PartFile:
    """A file on its way in: `.NAME.HASH.part` beside its target.

    The hash is of the file's id on the server. An id is never reused for other bytes, so a part
    can only be continued with its own file; the checksum at the end is the second net.
    """

    def __init__(self, target: Path, file_id: str) -> None:
        tag = hashlib.sha256(file_id.encode()).hexdigest()[:16]
        self.path = target.with_name(f".{target.name}.{tag}.part")
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    def prepare(self, *, resume: bool) -> None:
        """Take up what an earlier download left, or throw it away."""
        self.discard() if not resume else self._take_up()

    def _take_up(self) -> None:
        self._digest, self.size_bytes = hashlib.sha256(), 0
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            while chunk := file.read(HASH_BYTES):
                self._count(chunk)

    def discard(self) -> None:
        """Begin again from nothing."""
        self.path.unlink(missing_ok=True)
        self._digest, self.size_bytes = hashlib.sha256(), 0

    def open(self, head: Response) -> bool:
        """Whether this answer's body continues the part (206) or replaces it (200)."""
        if head.status == 206 and _starts_at(head) == self.size_bytes:
            self._file = self.path.open("ab")
        elif head.status == 200:
            self.discard()
            self._file = self.path.open("wb")
        return self._file is not None

    def write(self, chunk: bytes) -> None:
        """The next bytes."""
        if self._file is not None:
            self._file.write(chunk)
            self._count(chunk)

    def close(self) -> None:
        """The transfer has ended, well or not; what came is kept."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def verify(self, file: FileInfo) -> None:
        """Raise `ChecksumMismatch`, and remove the part, unless it is what the server wrote."""
        size_fits = file.size_bytes in (None, self.size_bytes)
        if size_fits and file.sha256 in (None, self._digest.hexdigest()):
            return
        self.discard()
        raise ChecksumMismatch(f"file {file.id} arrived with another size or SHA-256 than written")

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size_bytes += len(chunk)


def download(core: Core, info: RunInfo, wish: DownloadWish) -> Flow[Path]:
    """Fetch the file of a complete run; the path it is at. Nothing is at the target before the
    whole file is there and verified (by size and SHA-256 where the server tells them)."""
    file = _file(info)
    if file.sha256 is None:
        file = _file((yield from core.read(info.id)))
    target = _target(wish, file)
    part = PartFile(target, file.id)
    yield Block(lambda: part.prepare(resume=wish.resume))
    file = yield from _fetch_whole(core, info.id, file, part)
    yield Block(lambda: _put_in_place(part, file, target, wish.private_key))
    return target


def _fetch_whole(core: Core, run_id: str, file: FileInfo, part: PartFile) -> Flow[FileInfo]:
    """Fetch until all of it is there; the file with the link that worked."""
    tries = Tries(core.options.retry)
    renewed = False
    while not _is_whole(part, file):
        had_bytes = part.size_bytes
        try:
            head: Response = yield Fetch(_request(file.url, had_bytes), part)
        except NoAnswerError as trouble:
            if part.size_bytes > had_bytes:
                tries.start_over()
            yield from tries.after_silence(trouble)
            continue
        if head.status == 200 or (head.status == 206 and part.size_bytes > had_bytes):
            return file
        if _says_complete(head, part.size_bytes):
            return file
        if had_bytes and head.status in (206, 416):
            yield Block(part.discard)
        elif head.status in GONE and not renewed:
            file, renewed = _file((yield from core.read(run_id))), True
        elif not (yield from tries.after(head)):
            raise DownloadFailed(_reason(head))
    return file


def _is_whole(part: PartFile, file: FileInfo) -> bool:
    return file.size_bytes is not None and 0 < file.size_bytes == part.size_bytes


def _says_complete(head: Response, have_bytes: int) -> bool:
    """416 to a range that starts at the file's end: there is nothing more."""
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
        return f"the link answered {head.status}: redirects are refused"
    return f"the link answered {head.status}"


def _file(info: RunInfo) -> FileInfo:
    file = result_of(info).file
    if file is None:
        raise DownloadFailed("the run has no file")
    return file


def _target(wish: DownloadWish, file: FileInfo) -> Path:
    """The path as given; in a directory, the file's own name with nothing odd in it."""
    if not wish.target.is_dir():
        return wish.target
    name = re.sub(r"[^A-Za-z0-9._-]", "_", file.id).lstrip(".") or "result"
    return wish.target / (name.removesuffix(".enc") if wish.private_key else name)


def _put_in_place(part: PartFile, file: FileInfo, target: Path, key: PrivateKey | None) -> None:
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
