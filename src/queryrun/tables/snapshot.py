"""The tables of one statement at one version each.

A table's identity is taken once, when the statement first names it: its files are listed and
opened, and every later read goes through these descriptors (`/proc/self/fd/N`). A file that is
replaced or deleted meanwhile is read as it was. One that is written in place cannot be kept as it
was, so `verify` compares when the statement has ended, and before its result counts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.directory import DataDirectory
from queryrun.tables.formats import FORMATS
from queryrun.tables.identity import FileIdentity, unsettled_s, version_of
from queryrun.tables.model import RESTORE, FoundFile, Table, displayed, unreadable
from queryrun.tables.shortage import raise_if_short
from queryrun.tables.text.context import TextContext

DESCRIPTORS = "/proc/self/fd/"
"""Below this the engine finds what has been opened: it must be allowed to read there."""
MAX_PINNED_FILES = 6_000
"""Descriptors that one statement keeps open: the engine needs as many again, and a child process
has 16,384. Files beyond are read by their paths, and then their paths are verified."""
MAX_KEPT_FILES = 500
"""Of all tables that are kept for a further statement: it looks at each of them again."""
_MAX_LISTINGS = 8
_MAX_WAITS = 5


Planner = Callable[[Table], Table]
"""Reads the log of a table format: the table with `files` and `plan` of its newest version.

Raises `RunFailed` that says why it cannot be read as it is.
"""


def planned(table: Table) -> Table:
    """A table of files as it is; one of a table format with its plan."""
    planner = FORMATS[table.format].planner
    if not planner:
        return table
    module, _, function = planner.partition(":")
    plan: Planner = getattr(import_module(module), function)
    return plan(table)


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A file as the statement sees it; `read_path` is where the engine reads it."""

    found: FoundFile
    identity: FileIdentity
    read_path: str
    descriptor: int = -1

    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since. A file that is not pinned must be there still."""
        try:
            now = os.fstat(self.descriptor) if self.descriptor >= 0 else os.stat(self.found.path)  # noqa: PTH116
        except OSError:
            return False
        return FileIdentity.of(now).content == self.identity.content


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """A table at one version: what `relation` reads."""

    table: Table
    files: tuple[SnapshotFile, ...]
    version: str
    """Differs whenever the content may: a key for what has been learned about the content."""
    work_dir: Path | None = None
    """A directory of the statement's own, which the engine may read. None: only the schema is
    asked for, and nothing may be written."""
    text: TextContext = field(default_factory=TextContext)
    """How text files are converted, and where their copies are kept."""
    descriptors: list[int] = field(default_factory=list)
    """Open until the statement has ended."""
    column_faults: dict[str, str] = field(default_factory=dict)
    """Columns that cannot be read, and why, once `relation` has been made: a statement that reads
    one fails with this message."""

    @property
    def paths(self) -> list[str]:
        """Where the engine reads the files, in order."""
        return [file.read_path for file in self.files]

    def keep(self, descriptor: int) -> str:
        """Keep a file open until the statement has ended; returns where the engine reads it."""
        self.descriptors.append(descriptor)
        return f"{DESCRIPTORS}{descriptor}"


@dataclass(slots=True)
class Snapshot:
    """The snapshots of all tables that one statement has named. Close it when it has ended."""

    directory: DataDirectory
    work_dir: Path | None = None
    text: TextContext = field(default_factory=TextContext)
    _tables: dict[str, TableSnapshot] = field(default_factory=dict)
    _descriptors: list[int] = field(default_factory=list)
    _identities: dict[str, FileIdentity] = field(default_factory=dict)
    """By the path that is read: what `identities` has found."""
    _missing: str = ""
    """The file that was gone when the last listing was opened."""

    def table(self, name: str) -> TableSnapshot:
        """The table of this name (`DataDirectory.find` knows it), at its version.

        The same object for every call. Raises `RunFailed` when it cannot be read, or when its
        files change faster than they can be listed.
        """
        found = self.directory.find(name)
        if found is None:
            raise RunFailed.of(
                FailureCode.NAME_NOT_FOUND, f"Table '{displayed(name)}' does not exist"
            )
        if found.name not in self._tables:
            self._tables[found.name] = self._pinned(found)
        return self._tables[found.name]

    def tables(self) -> Sequence[TableSnapshot]:
        """What has been named so far."""
        return list(self._tables.values())

    def file_at(self, read_path: str) -> tuple[Table, FoundFile] | None:
        """Which file the engine means by a path in one of its messages."""
        with contextlib.suppress(OSError):  # not a link of a partition's
            if not read_path.startswith(DESCRIPTORS):
                read_path = os.readlink(read_path)  # noqa: PTH115
        for snapshot in self._tables.values():
            for file in snapshot.files:
                if file.read_path == read_path:
                    return snapshot.table, file.found
        return None

    def verify(self) -> None:
        """Return when everything that was read is still as it was when the statement began.

        Raises `RunFailed` (`data_changed`), which names the file, otherwise: then the rows may
        be of two versions, and must not be used.
        """
        for snapshot in self._tables.values():
            for file in snapshot.files:
                if not file.is_unchanged():
                    raise changed(snapshot.table.name, file.found.name)

    def is_keepable(self) -> bool:
        """Whether it may serve a further statement: how text files and table formats are read
        depends on the statement, and of many files each would be looked at again."""
        if any(one.table.format != "parquet" for one in self._tables.values()):
            return False
        return sum(len(one.files) for one in self._tables.values()) <= MAX_KEPT_FILES

    def is_current(self) -> bool:
        """List the directory anew: whether all that has been named is exactly as it was."""
        try:
            self.directory = self.directory.reread()
            return all(map(self._is_current, self._tables.values()))
        except RunFailed:
            return False

    def _is_current(self, known: TableSnapshot) -> bool:
        if self.directory.find(known.table.name) != known.table:
            return False
        return all(is_current(file.found.path, file.identity) for file in known.files)

    def identities(self, read_paths: Iterable[str]) -> dict[str, FileIdentity]:
        """Of those that are files of tables which have been named, by the path that is read."""
        requested = list(read_paths)
        if any(path not in self._identities for path in requested):
            self._identities |= self._identified(requested)
        return {path: self._identities[path] for path in requested if path in self._identities}

    def _identified(self, read_paths: Iterable[str]) -> dict[str, FileIdentity]:
        known = {f.read_path: f.identity for one in self._tables.values() for f in one.files}
        found = {}
        for path in read_paths:
            target = path
            with contextlib.suppress(OSError):  # not a link of a partition's
                target = path if path in known else os.readlink(path)  # noqa: PTH115
            if target in known:
                found[path] = known[target]
        return found

    def close(self) -> None:
        """Close the files. Idempotent."""
        while self._descriptors:
            os.close(self._descriptors.pop())
        self._tables.clear()
        self._identities.clear()
        if self.work_dir:
            for made in self.work_dir.glob("table-*"):
                shutil.rmtree(made, ignore_errors=True)

    def _pinned(self, table: Table) -> TableSnapshot:
        """Listing and opening are no atomic step: repeated until nothing changed in between."""
        for attempt in range(_MAX_LISTINGS):
            if attempt:
                table = self._listed_again(table)
            table.require_readable()
            table = planned(table)
            opened_before = len(self._descriptors)
            files = self._opened(table)
            if files is not None and all(is_current(*known) for known in table.directories):
                version = version_of((file.found.name, file.identity) for file in files)
                version += f"-{table.plan.version}" if table.plan else ""
                return TableSnapshot(
                    table, files, version, self.work_dir, self.text, self._descriptors
                )
            self._close_from(opened_before)
        if table.plan and self._missing:
            problem = f"its log names '{displayed(self._missing)}', and this file is not there"
            raise unreadable(table.name, f"{problem}; {RESTORE}")
        raise changed(table.name, table.name)

    def _listed_again(self, table: Table) -> Table:
        self.directory = self.directory.reread()
        again = self.directory.find(table.name)
        if again is None:
            raise unreadable(table.name, "it was removed while the statement began")
        return again

    def _opened(self, table: Table) -> tuple[SnapshotFile, ...] | None:
        """None when a file has gone since it was listed."""
        files = []
        self._missing = ""
        for found in table.files:
            try:
                files.append(self._open(table, found))
            except FileNotFoundError:
                self._missing = found.name
                return None
            except OSError as error:
                raise_if_short(error)
                problem = f"'{displayed(found.name)}' cannot be opened ({error.strerror})"
                raise unreadable(table.name, problem) from error
        return tuple(files)

    def _open(self, table: Table, found: FoundFile) -> SnapshotFile:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        is_pinned = len(self._descriptors) < MAX_PINNED_FILES
        try:
            identity = _settled(descriptor, table, found)
        except BaseException:
            os.close(descriptor)
            raise
        if not is_pinned:
            os.close(descriptor)
            return SnapshotFile(found, identity, found.path)
        self._descriptors.append(descriptor)
        return SnapshotFile(found, identity, f"{DESCRIPTORS}{descriptor}", descriptor)

    def _close_from(self, count: int) -> None:
        while len(self._descriptors) > count:
            os.close(self._descriptors.pop())


def is_current(path: str, identity: FileIdentity) -> bool:
    """Whether a file is untouched, or a directory has had no entry added, removed or renamed."""
    try:
        return FileIdentity.of(os.stat(path)) == identity  # noqa: PTH116
    except OSError:
        return False


def _settled(descriptor: int, table: Table, found: FoundFile) -> FileIdentity:
    """The identity of a file once its last write is old enough (`unsettled_s`)."""
    for _ in range(_MAX_WAITS):
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise unreadable(table.name, f"'{displayed(found.name)}' is not a file")
        wait_s = unsettled_s(state)
        if not wait_s:
            return FileIdentity.of(state)
        time.sleep(wait_s)
    raise changed(table.name, found.name)


def changed(table: str, file: str) -> RunFailed:
    """The failure of a table whose file was written in place while it was read."""
    message = (
        f"Table '{displayed(table)}' changed while it was read: '{displayed(file)}' was written "
        "in place. Write a new file under a name that begins with '_' or '.', and rename it when "
        "it is whole"
    )
    return RunFailed.of(FailureCode.DATA_CHANGED, message)
