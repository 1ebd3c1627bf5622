"""Tables that `tables.toml` defines: a discovered table with more to it, or files of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from queryrun.tables.definition import TableDefinition, problem_of_other_formats
from queryrun.tables.folder import Unusable, is_hidden, is_inside, partition_keys, partition_of
from queryrun.tables.formats import COMPRESSIONS, FORMATS, split
from queryrun.tables.identity import FileIdentity
from queryrun.tables.model import FoundFile, Table, displayed
from queryrun.tables.partitioning import with_partitioning

MAX_FILES = 100_000


def defined_table(
    name: str, found: Table | None, definition: TableDefinition, directory: Path
) -> Table | None:
    """The table with its definition. `found` is the one that the directory holds, if it does."""
    if definition.problem:
        kind = found.format if found else definition.format or "csv"
        return Table(found.name if found else name, kind, problem=definition.problem)
    if definition.files:
        found = _of_patterns(name, definition, directory)
    if found is None:
        problem = f"tables.toml defines it, and no file or directory is named '{displayed(name)}'"
        return Table(name, definition.format or "csv", problem=problem)
    if found.problem:
        return found
    kind = definition.format or found.format
    problem = problem_of_other_formats(definition, kind, FORMATS[kind].label)
    if problem:
        return replace(found, problem=problem)
    found = replace(found, definition=definition, deleted_column=definition.deleted, format=kind)
    return _partitioned(found, definition)


def _partitioned(table: Table, definition: TableDefinition) -> Table:
    if definition.partitioning is None:
        return table
    if not table.files:
        label = FORMATS[table.format].label
        problem = f"tables.toml gives its partitioning, which says nothing of {label} tables"
        return replace(table, problem=problem)
    is_of_patterns = bool(definition.files)
    return with_partitioning(table, definition.partitioning, is_of_patterns=is_of_patterns)


def _of_patterns(name: str, definition: TableDefinition, directory: Path) -> Table:
    paths = sorted({path for p in definition.files for path in _matching(directory, p)})
    root = os.path.realpath(directory)
    files, kinds = [], set()
    for path in paths[:MAX_FILES]:
        relative = str(path.relative_to(directory))
        if not path.is_file() or any(is_hidden(part) for part in Path(relative).parts):
            continue
        if not is_inside(str(path), root):
            problem = f"'{displayed(relative)}' is a link that leads out of the data directory"
            return Table(name, definition.format or "csv", problem=problem)
        known = split(path.name)
        kinds.add(definition.format or (known.format.name if known else ""))
        compression = COMPRESSIONS.get(path.suffix.lower(), "")
        parts = Path(relative).parent.parts
        is_given = definition.partitioning is not None
        partition = () if is_given else tuple(one for part in parts for one in partition_of(part))
        files.append(FoundFile(str(path), relative, compression, partition))
    problem = _problem(definition, files, kinds, len(paths))
    kind = definition.format or next(iter(kinds - {""}), "csv")
    if problem:
        return Table(name, kind, problem=problem)
    directories = sorted({os.path.dirname(file.path) for file in files})  # noqa: PTH120
    listed = tuple((path, FileIdentity.of(os.stat(path))) for path in directories)  # noqa: PTH116
    try:
        keys = partition_keys(tuple(files))
    except Unusable as unusable:
        return Table(name, kind, problem=str(unusable))
    return Table(name, kind, tuple(files), directories=listed, partition_keys=keys)


def _matching(directory: Path, pattern: str) -> list[Path]:
    """A name that a file has stands for that file, although it may look like a pattern."""
    literal = directory / pattern
    return [literal] if literal.is_file() else list(directory.glob(pattern))


def _problem(
    definition: TableDefinition, files: list[FoundFile], kinds: set[str], found: int
) -> str:
    patterns = ", ".join(f"'{pattern}'" for pattern in definition.files)
    if found > MAX_FILES:
        return f"{patterns} are {found} files; {MAX_FILES} are possible"
    if not files:
        return f"there is no file {patterns}, which tables.toml names"
    if len(kinds) > 1 or "" in kinds:
        return f"{patterns} are files of several or unknown kinds; give the format in tables.toml"
    return ""
