"""Partition columns that `tables.toml` names, where the directories above the files have values.

`partitioning = ["year", "month"]` reads `events/2024/06/a.csv`; a table of names and types gives
the types, too. Types that are not given follow from the values (`partitions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from queryrun.tables.folder import Unusable, partition_keys, partition_of
from queryrun.tables.model import FoundFile, Partition, Table, displayed


def with_partitioning(
    table: Table, partitioning: Mapping[str, str], *, is_of_patterns: bool
) -> Table:
    """The table with these partition columns and no others.

    They are the directories right above each file, the outermost first: `2024`, or `year=2024` for
    the column `year`. Without a name the directories say nothing. `is_of_patterns`: the table has
    no directory of its own, which would be none of them.
    """
    names = tuple(partitioning)
    try:
        files = tuple(
            replace(file, partition=_partition(file, names, is_of_patterns=is_of_patterns))
            for file in table.files
        )
        return replace(table, files=files, partition_keys=partition_keys(files))
    except Unusable as unusable:
        return replace(table, files=(), partition_keys=(), problem=str(unusable))


def _partition(file: FoundFile, names: tuple[str, ...], *, is_of_patterns: bool) -> Partition:
    if not names:
        return ()
    directories = PurePosixPath(file.name).parts[:-1]
    directories = directories if is_of_patterns else directories[1:]
    outer, inner = directories[: -len(names)], directories[-len(names) :]
    if len(inner) < len(names):
        raise Unusable(
            f"its partitioning names {len(names)} directories, and '{displayed(file.name)}' is in "
            f"{len(inner)}"
        )
    if any(list(partition_of(directory)) for directory in outer):
        raise Unusable(
            f"'{displayed(file.name)}' is in more `key=value` directories than its partitioning "
            "names"
        )
    return tuple((name, _value(file, name, part)) for name, part in zip(names, inner, strict=True))


def _value(file: FoundFile, name: str, directory: str) -> str | None:
    for key, value in partition_of(directory):
        if key.lower() != name.lower():
            raise Unusable(
                f"'{displayed(file.name)}' has '{displayed(key)}' where its partitioning has "
                f"'{displayed(name)}'"
            )
        return value
    return directory
