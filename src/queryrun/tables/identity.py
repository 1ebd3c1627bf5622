"""The identity of a file: what changes when its content does."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Two equal identities of a path mean that nobody has written to the file in between.

    Times are those of the file system, in nanoseconds. They advance in ticks of a few
    milliseconds: see `unsettled_s`.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileIdentity:
        """The identity in a result of `stat`."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @property
    def content(self) -> tuple[int, int, int, int]:
        """What only a write changes. The time of change also moves when a file is renamed, or
        replaced while it is open."""
        return self.device, self.inode, self.size_bytes, self.modified_ns


SETTLED_NS = 20_000_000
"""The coarsest tick of a kernel's clock (100 Hz), twice."""


def unsettled_s(found: os.stat_result) -> float:
    """How long to wait until a further write is sure to change the file's identity; 0: not at all.

    Two writes within a tick of the clock leave the same time.
    """
    age_ns = time.time_ns() - found.st_mtime_ns
    return (SETTLED_NS - age_ns) / 1e9 if 0 <= age_ns < SETTLED_NS else 0.0


def version_of(identities: Iterable[tuple[str, FileIdentity]]) -> str:
    """A short text that differs when any file, its name or their number does."""
    digest = hashlib.sha256()
    for name, file in identities:
        parts = (name, file.device, file.inode, file.size_bytes, file.modified_ns, file.changed_ns)
        digest.update("\0".join(map(str, parts)).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:16]
