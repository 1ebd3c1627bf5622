"""Where copies of text files are kept: one directory per entity, bounded, the oldest go first:
those whose conversion, or use by a process that may write here, was longest ago.

Two processes may write the same copy: both are whole, and the last one stays. A copy that is
evicted while a statement reads it is read to its end, because the statement has it open.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from queryrun.tables.identity import FileIdentity
from queryrun.tables.text.convert import Column, Converted
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.kinds import Facts
from queryrun.tables.text.nested import Shape

FORMAT = 6
"""To be advanced when the meaning of what is kept changes: then nothing older is used."""
DEFAULT_MAX_BYTES = 20 * 1024**3
_EVICT_PARTS, _EVICT_EVERY = 20, 500
"""Listing the directory for every small copy would take longer than the copies do, so it is done
after a twentieth of the space, or so many copies."""
_DATA, _INFO = ".parquet", ".json"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one version of a file: a copy, or why there is none."""

    converted: Converted | None = None
    fault: FileFault | None = None


class CopyStore:
    """The copies of one entity's text files, by a key of file and definition."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int = DEFAULT_MAX_BYTES,
        *,
        shared: CopyStore | None = None,
    ) -> None:
        """`shared` is looked into first, and never written to."""
        self._directory = directory
        self._shared = shared
        self._max_bytes = max_bytes
        self._added_bytes = max_bytes  # the first one looks at what others have added
        self._added = 0

    def find(self, key: str) -> Entry | None:
        """What is known, or None. A copy that cannot be read is none."""
        if self._shared and (known := self._shared.find(key)):
            return known
        try:
            entry = _read(self._path(key, _INFO).read_bytes())
            is_copied = entry.converted is not None and bool(entry.converted.columns)
            if is_copied and not self._path(key, _DATA).exists():
                return None
        except (OSError, ValueError, LookupError, TypeError):
            return None
        for ending in (_INFO, _DATA):
            with contextlib.suppress(OSError):
                os.utime(self._path(key, ending))
        return entry

    def open_copy(self, key: str) -> int:
        """A descriptor of the copy. Raises `FileNotFoundError` when it has been evicted."""
        if self._shared:
            with contextlib.suppress(OSError):
                return self._shared.open_copy(key)
        return os.open(self._path(key, _DATA), os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """A path to write a copy to, for `add`. Nothing is left there afterwards."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f".{uuid.uuid4().hex}{_DATA}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def add(self, key: str, entry: Entry, written: Path | None = None) -> None:
        """Keep what has been found out, and the copy that was written."""
        written_bytes = written.stat().st_size if written else 0
        if written:
            written.replace(self._path(key, _DATA))
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._directory / f".{uuid.uuid4().hex}{_INFO}"
        temporary.write_bytes(_written(entry))
        temporary.replace(self._path(key, _INFO))
        self._added_bytes += written_bytes
        self._added += 1
        if self._added_bytes > self._max_bytes // _EVICT_PARTS or self._added >= _EVICT_EVERY:
            self._added_bytes = self._added = 0
            self._evict()

    def _path(self, key: str, ending: str) -> Path:
        return self._directory / f"{key}{ending}"

    def _evict(self) -> None:
        """What a killed process has left behind goes as well, once it is the oldest."""
        states = []
        for entry in os.scandir(self._directory):
            with contextlib.suppress(OSError):
                states.append((entry.stat().st_mtime, entry.stat().st_size, entry.path))
        total = sum(size for _, size, _ in states)
        for _, size, path in sorted(states):
            if total <= self._max_bytes:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
                total -= size


def key_of(identity: FileIdentity, *how: object) -> str:
    """Differs when the file's content may, or `how` it is read."""
    parts = (FORMAT, *asdict(identity).values(), *how)
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()[:40]


def _written(entry: Entry) -> bytes:
    data: dict[str, Any] = {}
    if entry.fault:
        fault = entry.fault
        data["fault"] = [fault.file, fault.problem, fault.advice, fault.line, fault.column]
    if entry.converted:
        data["rows"] = entry.converted.rows
        data["columns"] = [_column_data(column) for column in entry.converted.columns]
    return json.dumps(data).encode()


def _column_data(column: Column) -> dict[str, Any]:
    data = asdict(column)
    data["shape"] = column.shape.to_json() if column.shape else None
    return data


def _read(text: bytes) -> Entry:
    data = json.loads(text)
    fault = FileFault(*data["fault"]) if "fault" in data else None
    if "columns" not in data:
        return Entry(None, fault)
    columns = []
    for column in data["columns"]:
        shape = Shape.from_json(column["shape"]) if column["shape"] else None
        columns.append(Column(**{**column, "facts": Facts(**column["facts"]), "shape": shape}))
    return Entry(Converted(tuple(columns), data["rows"]), fault)
