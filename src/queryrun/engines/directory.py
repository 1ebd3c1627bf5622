"""A directory of files as tables: which there are, and the SQL that reads each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_READERS: Mapping[str, str] = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".csv.gz": "read_csv",
    ".tsv": "read_csv",
    ".tsv.gz": "read_csv",
    ".json": "read_json",
    ".json.gz": "read_json",
    ".jsonl": "read_json",
    ".jsonl.gz": "read_json",
    ".ndjson": "read_json",
    ".ndjson.gz": "read_json",
}
_ORDER = list(dict.fromkeys(_READERS.values()))
_ENDINGS = sorted(_READERS, key=len, reverse=True)
_PATTERN_CHARACTERS = frozenset("*?[]{}\\")


@dataclass(frozen=True, slots=True)
class TableFiles:
    """A table that is one file, or all files of one kind in a sub-directory."""

    name: str
    reader: str
    paths: tuple[str, ...]

    @property
    def source(self) -> str:
        """What to read the table from, in DuckDB's SQL."""
        paths = ", ".join(quoted_text(path) for path in self.paths)
        union = ", union_by_name=true" if len(self.paths) > 1 else ""
        return f"{self.reader}([{paths}]{union})"

    @property
    def view_sql(self) -> str:
        """The statement that makes the table known to a connection, replacing an older one."""
        return view_sql(self.name, self.source)


def tables_in(directory: Path) -> dict[str, TableFiles]:
    """The tables of a directory by lower-case name, as it is now.

    `accounts.parquet`, `accounts.csv.gz`, `accounts.jsonl` and a sub-directory `accounts/` are
    each a table `accounts`; of several the first in the order of Parquet, CSV, JSON, directory
    counts. In a sub-directory only files of the kind that comes first in that order count, at
    any depth. Hidden files, unknown endings, and names with characters that DuckDB would take
    for a pattern (`* ? [ ] { } \\`) or that are no text are passed over.
    """
    with os.scandir(directory) as entries:
        usable = sorted((e for e in entries if _is_usable(e.name)), key=lambda e: e.name)
    files = [table for entry in usable if entry.is_file() and (table := _file(entry))]
    folders = [table for entry in usable if entry.is_dir() and (table := _folder(entry))]
    found: dict[str, TableFiles] = {}
    for table in sorted(files, key=lambda table: _ORDER.index(table.reader)) + folders:
        found.setdefault(table.name.lower(), table)
    return found


def view_sql(name: str, source: str, condition: str = "") -> str:
    """The statement that offers the rows of `source` under a name, replacing an older view."""
    where = f" WHERE {condition}" if condition else ""
    return f"CREATE OR REPLACE TEMP VIEW {quoted_name(name)} AS SELECT * FROM {source}{where}"


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _file(entry: os.DirEntry[str]) -> TableFiles | None:
    known = _split(entry.name)
    return TableFiles(known[0], known[1], (entry.path,)) if known else None


def _folder(entry: os.DirEntry[str]) -> TableFiles | None:
    known = _files_below(Path(entry.path))
    return TableFiles(entry.name, *known) if known else None


def _files_below(directory: Path) -> tuple[str, tuple[str, ...]] | None:
    """A table has one reader, so only files of the kind that comes first count."""
    by_reader: dict[str, list[str]] = {}
    for parent, folders, files in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if _is_usable(folder))
        for file in sorted(files):
            known = _split(file) if _is_usable(file) else None
            if known:
                by_reader.setdefault(known[1], []).append(str(Path(parent, file)))
    for reader in _ORDER:
        if reader in by_reader:
            return reader, tuple(by_reader[reader])
    return None


def _split(file: str) -> tuple[str, str] | None:
    """A file's table name and reader, or None when its ending is none of ours."""
    lower = file.lower()
    for ending in _ENDINGS:
        if lower.endswith(ending) and len(file) > len(ending):
            return file[: -len(ending)], _READERS[ending]
    return None


def _is_usable(name: str) -> bool:
    return not name.startswith(".") and name.isprintable() and _PATTERN_CHARACTERS.isdisjoint(name)
