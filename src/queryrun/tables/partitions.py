"""The columns that paths give: `year=2024/month=1/part-0.parquet`.

The engine reads such a table through a tree of links, made for the statement, whose directories
have names that nothing can be mistaken in. So it still passes over files that a condition on a
partition rules out.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

from queryrun.tables.folder import NULL_PARTITION
from queryrun.tables.model import displayed, unreadable
from queryrun.tables.snapshot import SnapshotFile, TableSnapshot
from queryrun.tables.sql import quoted_name, quoted_text
from queryrun.tables.text.faults import COLUMN_FAULT, cut
from queryrun.tables.types import type_name

Relation = Callable[[list[str], str], str]
"""(paths, further options) -> what can stand after FROM; the options begin with a comma."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PADDED = re.compile(r"-?[0-9]{1,18}")
"""A whole number also with zeros in front, where the type is defined."""


def partitioned(
    table: TableSnapshot,
    paths: list[str],
    relation: Relation,
    own: Sequence[Collection[str]],
    files: Sequence[SnapshotFile] | None = None,
) -> str:
    """`relation` of these paths, with the partition columns of the snapshot behind the others.

    `paths` stand for `files`, which are all of the snapshot's unless others are given. `own` has
    the lower-case columns of each kind of file. A column that all files have themselves is theirs,
    and must agree with the paths; `RunFailed` for one that only some have.
    """
    if not table.table.partition_keys:
        return relation(paths, "")
    columns = _columns(table, own)
    if table.work_dir is None:
        values = [
            f", CAST(NULL AS {column.type}) AS {column.quoted}"
            for column in columns
            if not column.is_own
        ]
        return f"(SELECT *{''.join(values)} FROM {relation(paths, '')})"
    linked = linked_paths(table.work_dir, table, paths, table.files if files is None else files)
    names = link_names(table)
    read = relation(linked, link_options(["VARCHAR"] * len(names)))
    values = [
        f", CAST({names[c.index]} AS {c.type}) AS {c.quoted}" for c in columns if not c.is_own
    ]
    agreed = [f"{_agreed(table, c, names[c.index])} AS {c.quoted}" for c in columns if c.is_own]
    replaced = f" REPLACE ({', '.join(agreed)})" if agreed else ""
    return f"(SELECT * EXCLUDE ({', '.join(names)}){replaced}{''.join(values)} FROM {read})"


def _agreed(table: TableSnapshot, column: _Column, from_path: str) -> str:
    """The files' own column; a value that its path contradicts fails the statement that reads it.

    Readers of such directories disagree on which of the two counts. `1` and `01` are no
    contradiction, nor is a day and a time of it.
    """
    own = f"CAST({column.quoted} AS VARCHAR)"
    numbers = f"TRY_CAST({own} AS DOUBLE) <> TRY_CAST({from_path} AS DOUBLE)"
    days = f"TRY_CAST({own} AS DATE) <> TRY_CAST({from_path} AS DATE)"
    texts = f"typeof({column.quoted}) = 'VARCHAR'"
    fault = (
        f"Table '{cut(table.table.name)}', column '{cut(column.key)}': a file and its path have "
        "different values; remove the column from the files, or correct the directory's name"
    )
    return (
        f"CASE WHEN {own} <> {from_path} AND coalesce({numbers}, {days}, {texts}) "
        f"THEN error({quoted_text(COLUMN_FAULT + fault)}) ELSE {column.quoted} END"
    )


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that the paths give. `is_own`: the files have it too."""

    index: int
    key: str
    type: str
    is_own: bool

    @property
    def quoted(self) -> str:
        return quoted_name(self.key)


def _columns(table: TableSnapshot, own: Sequence[Collection[str]]) -> list[_Column]:
    for key in table.table.partition_keys:
        if len({key.lower() in columns for columns in own}) > 1:
            raise unreadable(
                table.table.name,
                f"some of its files have a column '{displayed(key)}' and others have it from their "
                "paths alone; write it into all files or into none",
            )
    in_files = {name for columns in own for name in columns}
    return [
        _Column(
            index,
            key,
            _type_of(table, index),
            is_own=key.lower() in in_files,
        )
        for index, key in enumerate(table.table.partition_keys)
    ]


def link_names(table: TableSnapshot) -> list[str]:
    """The columns that `link_options` make, in the order of the partition's keys."""
    return [_link_key(index) for index in range(len(table.table.partition_keys))]


def link_options(types: Sequence[str]) -> str:
    """Options of a reader of `linked_paths`: columns `queryrun_p0` and so on, of these types.

    A condition passes over files by a column of its own type, or by one that is read from a text
    right behind the reader. A value that is not of its type fails the statement.
    """
    columns = ", ".join(
        f"{quoted_text(_link_key(index))}: {kind}" for index, kind in enumerate(types)
    )
    return f", hive_partitioning=true, hive_types={{{columns}}}"


def linked_paths(
    work_dir: Path, table: TableSnapshot, paths: list[str], files: Sequence[SnapshotFile]
) -> list[str]:
    """A directory per partition, in it a link per file."""
    root = os.path.join(work_dir, f"table-{table.version}")  # noqa: PTH118
    shutil.rmtree(root, ignore_errors=True)
    made = set()
    linked = []
    for number, (file, path) in enumerate(zip(files, paths, strict=True)):
        parts = [
            f"{_link_key(index)}={_encoded(value)}"
            for index, (_, value) in enumerate(file.found.partition)
        ]
        directory = os.path.join(root, *parts)  # noqa: PTH118
        if directory not in made:
            os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103
            made.add(directory)
        link = os.path.join(directory, str(number))  # noqa: PTH118
        os.symlink(path, link)  # noqa: PTH211
        linked.append(link)
    return linked


def _link_key(index: int) -> str:
    return f"queryrun_p{index}"


def _encoded(value: str | None) -> str:
    """A text that is spelled as NULL is must not become it: one of its letters is encoded too."""
    if value is None:
        return NULL_PARTITION
    return "%5F" + NULL_PARTITION[1:] if value == NULL_PARTITION else quote(value, safe="")


def _type_of(table: TableSnapshot, index: int) -> str:
    """The column's type. `RunFailed` for a value that is none of the type that is defined."""
    values = [file.found.partition[index][1] for file in table.files]
    key = table.table.partition_keys[index]
    defined = (table.table.definition.partitioning or {}).get(key, "")
    if not defined:
        return _type(values)
    wrong = next((v for v in values if v is not None and not _IS_OF[defined](v)), None)
    if wrong is not None:
        raise unreadable(
            table.table.name,
            f"a directory has '{cut(wrong)}' for the column '{displayed(key)}', which is no "
            f"{type_name(defined)}; correct its name, or the partitioning in tables.toml",
        )
    return defined


def _type(values: Iterable[str | None]) -> str:
    """BIGINT or DATE when every value is one in its plain form; else text, so nothing is lost."""
    known = [value for value in values if value is not None]
    if known and all(_INTEGER.fullmatch(value) for value in known):
        return "BIGINT"
    if known and all(_is_date(value) for value in known):
        return "DATE"
    return "VARCHAR"


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


_IS_OF: Mapping[str, Callable[[str], object]] = {
    "BIGINT": _PADDED.fullmatch,
    "DATE": _is_date,
    "VARCHAR": lambda _: True,
}
