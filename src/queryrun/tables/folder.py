"""The files of a table that is a directory, at any depth: none left out, none twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from queryrun.tables.formats import FORMATS, FileName, is_data, split, why_unread
from queryrun.tables.identity import FileIdentity
from queryrun.tables.model import FoundFile, Partition, Table, displayed
from queryrun.tables.shortage import raise_if_short
from queryrun.texts import is_utf8

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""What Hive writes for a partition whose value is NULL."""
MAX_FILES = 200_000
"""Of one table. More take longer to list than a statement should wait."""
_DELTA, _ICEBERG, _HUDI = "_delta_log", "metadata", ".hoodie"


class Unusable(Exception):
    """A directory cannot be a table; the text says why, for `Table.problem`."""


def is_hidden(name: str) -> bool:
    """Whether a name is passed over at every level, as Hive, Spark and Trino do.

    `_temporary` and `.part` are what writers leave behind; `_id=7` is a partition all the same.
    """
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def is_directory(entry: os.DirEntry[str]) -> bool:
    """`DirEntry.is_dir`, but False for a link that leads in a circle or nowhere we may look."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """`DirEntry.is_file`, but False for a link that leads in a circle or nowhere we may look."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_inside(path: str, root: str) -> bool:
    """Whether a path, its links resolved, is below `root`, which has none."""
    return os.path.realpath(path).startswith(root.rstrip("/") + "/")


def table_of_folder(name: str, path: str, root: str) -> Table | None:
    """The table of a directory; None when there is nothing in it that could be one.

    `root` is the entity's data directory with its links resolved. What makes the rows uncertain
    is the table's `problem`: a sub-directory that cannot be listed, a link that leads outside,
    files of two formats, partitions that do not match.
    """
    listing = _Listing(root, len(os.path.dirname(path)) + 1)  # noqa: PTH120
    try:
        special = _table_format(path)
        if special:
            return Table(name, special, root=path)
        listing.add_all(path)
        return listing.table(name, path)
    except Unusable as problem:
        kind = listing.files[0][0].format.name if listing.files else "parquet"
        return Table(name, kind, root=path, problem=str(problem))


def _table_format(path: str) -> str:
    """The table format whose log or metadata a directory holds; empty for none."""
    if os.path.isdir(os.path.join(path, _DELTA)):  # noqa: PTH112, PTH118
        return "delta"
    if os.path.isdir(os.path.join(path, _HUDI)):  # noqa: PTH112, PTH118
        raise Unusable("it is a Hudi table, which is not read; export it as Parquet files")
    metadata = os.path.join(path, _ICEBERG)  # noqa: PTH118
    if os.path.isdir(metadata) and any(n.endswith(".metadata.json") for n in os.listdir(metadata)):  # noqa: PTH112, PTH208
        return "iceberg"
    return ""


@dataclass(slots=True)
class _Listing:
    """A walk through one directory, following links that stay inside the data."""

    root: str
    prefix_chars: int
    files: list[tuple[FileName, FoundFile]] = field(default_factory=list)
    linked: list[tuple[FileName, FoundFile]] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    directories: list[tuple[str, FileIdentity]] = field(default_factory=list)

    def add_all(self, path: str) -> None:
        """All files below, in the order of their names."""
        self._walk(path, (), (), is_linked=False)

    def table(self, name: str, path: str) -> Table | None:
        files, warnings = self._distinct()
        if not files and not self.unread:
            return None
        if not files:
            raise Unusable(f"its directory holds no file that is read ({self._unread_names()})")
        kinds = {split_name.format.name for split_name, _ in files}
        if len(kinds) > 1:
            labels = " and ".join(sorted(FORMATS[kind].label for kind in kinds))
            raise Unusable(
                f"its directory holds {labels} files; keep one format in a directory, "
                "or say in tables.toml which files the table has"
            )
        found = tuple(file for _, file in files)
        if self.unread:
            warnings.append(f"passed over: {self._unread_names()}")
        return Table(
            name,
            kinds.pop(),
            found,
            path,
            tuple(self.directories),
            partition_keys(found),
            warnings=tuple(warnings),
        )

    def _walk(
        self,
        path: str,
        partition: Partition,
        above: tuple[tuple[int, int], ...],
        *,
        is_linked: bool,
    ) -> None:
        try:
            found = os.stat(path)  # noqa: PTH116
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise_if_short(error)
            raise Unusable(
                f"its sub-directory '{self._displayed(path)}' cannot be listed ({error.strerror}); "
                "let the service read it, or move it away"
            ) from error
        identity = (found.st_dev, found.st_ino)
        self.directories.append((path, FileIdentity.of(found)))
        if identity in above:
            raise Unusable(f"'{self._displayed(path)}' is a link to a directory that it is in")
        for entry in entries:
            if not is_hidden(entry.name):
                self._add(entry, partition, (*above, identity), is_linked=is_linked)

    def _add(
        self,
        entry: os.DirEntry[str],
        partition: Partition,
        above: tuple[tuple[int, int], ...],
        *,
        is_linked: bool,
    ) -> None:
        """Walk through a directory, note a file, and refuse what is neither: it may hold rows."""
        if is_directory(entry):
            self._refuse_outside(entry)
            if _table_format(entry.path):
                raise Unusable(
                    f"its sub-directory '{self._displayed(entry.path)}' is a table of its own; "
                    "move it beside the others"
                )
            below = (*partition, *partition_of(entry.name))
            self._walk(entry.path, below, above, is_linked=is_linked or entry.is_symlink())
            return
        known = split(entry.name)
        if known is None:
            if is_data(entry.name):
                raise Unusable(
                    f"'{self._displayed(entry.path)}' would be left out: {why_unread(entry.name)}; "
                    "or say in tables.toml which files the table has"
                )
            self.unread[os.path.splitext(entry.name)[1].lower() or entry.name] += 1  # noqa: PTH122
            return
        self._refuse_outside(entry)
        if not is_file(entry):
            what = "a link to nothing" if entry.is_symlink() else "not a file"
            raise Unusable(f"'{self._displayed(entry.path)}' is {what}")
        name = entry.path[self.prefix_chars :]
        file = FoundFile(entry.path, name, known.compression, partition)
        (self.linked if is_linked or entry.is_symlink() else self.files).append((known, file))
        if len(self.files) + len(self.linked) > MAX_FILES:
            raise Unusable(f"it has more than {MAX_FILES:,} files")

    def _refuse_outside(self, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink() and not is_inside(entry.path, self.root):
            raise Unusable(
                f"'{self._displayed(entry.path)}' is a link that leads out of the data directory; "
                "copy the data here"
            )

    def _distinct(self) -> tuple[list[tuple[FileName, FoundFile]], list[str]]:
        """A file that is reached twice, directly and by a link, has its rows once."""
        files, warnings = list(self.files), []
        reached = {os.path.realpath(file.path) for _, file in files} if self.linked else set()
        for known, file in self.linked:
            target = os.path.realpath(file.path)
            if target in reached:
                warnings.append(f"'{displayed(file.name)}' links to a file that is read already")
                continue
            reached.add(target)
            files.append((known, file))
        return sorted(files, key=lambda item: item[1].path), warnings[:MAX_WARNINGS]

    def _unread_names(self) -> str:
        names = sorted(self.unread.items(), key=lambda item: (-item[1], item[0]))[:5]
        parts = [f"{count} × {displayed(name)}" for name, count in names]
        advice = next((why for name, _ in names if (why := why_unread(f"x{name}"))), "")
        return ", ".join(parts) + (f"; {advice}" if advice else "")

    def _displayed(self, path: str) -> str:
        return displayed(path[self.prefix_chars :])


MAX_WARNINGS = 20


def partition_of(directory: str) -> Iterator[tuple[str, str | None]]:
    """The column that a directory's name gives, if it does."""
    key, equals, value = directory.partition("=")
    if key and equals:
        yield _decoded(key), None if value == NULL_PARTITION else _decoded(value)


def _decoded(text: str) -> str:
    """Percent-decoded; as it stands when that would be no text: two values would become one."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def partition_keys(files: tuple[FoundFile, ...]) -> tuple[str, ...]:
    """The partition columns. Raises `Unusable` when the files do not agree on them."""
    first = files[0]
    keys = tuple(key for key, _ in first.partition)
    for file in files:
        if tuple(key for key, _ in file.partition) != keys:
            raise Unusable(
                f"its files are partitioned differently: '{displayed(first.name)}' and "
                f"'{displayed(file.name)}'; give all files the same `key=value` directories"
            )
        if not all(is_utf8(key) and is_utf8(value or "") for key, value in file.partition):
            raise Unusable(f"a directory of '{displayed(file.name)}' is no UTF-8; rename it")
    if len({key.lower() for key in keys}) < len(keys):
        raise Unusable(f"'{displayed(first.name)}' names a partition column twice")
    return keys
