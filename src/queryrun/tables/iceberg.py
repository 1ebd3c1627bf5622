"""Iceberg tables: their metadata is read by `pyiceberg`, their files by the engine.

A directory has no catalog, so its newest metadata file is the table: the one that
`version-hint.text` names, or the one with the highest number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryrun.errors import RunFailed
from queryrun.tables.folder import is_inside
from queryrun.tables.model import (
    RESTORE,
    FoundFile,
    PlannedColumn,
    Table,
    TablePlan,
    displayed,
    unreadable,
)
from queryrun.tables.plan import extra_is_missing
from queryrun.tables.shortage import raise_if_short
from queryrun.tables.sql import quoted_name

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, StaticTable

_NUMBERED = re.compile(r"v?(\d+)(?:-[0-9a-f-]+)?(?:\.gz)?\.metadata\.json")
_TYPES = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "uuid": "UUID",
    "binary": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
_OTHER_DELETES = (
    "it has deletes that are not read (equality deletes or deletion vectors); compact the table, "
    "or export it as Parquet files"
)
LOCATION, DIRECTORY = "queryrun.location", "queryrun.directory"
"""Properties of `iceberg_files.MovedFiles`: where the metadata has files, and where they are."""


def plan_iceberg(table: Table) -> Table:
    """The table with the files and columns of its current snapshot (`snapshot.Planner`)."""
    try:
        from pyiceberg.table import StaticTable
    except ImportError as error:
        raise unreadable(table.name, extra_is_missing("an Iceberg")) from error
    metadata = current_metadata(table)
    properties = {
        "py-io-impl": "queryrun.tables.iceberg_files.MovedFiles",
        LOCATION: _location(table, metadata),
        DIRECTORY: table.root,
    }
    iceberg = None
    try:
        iceberg = StaticTable.from_metadata(str(metadata), properties)
        return _planned(table, iceberg, properties[LOCATION])
    except RunFailed:
        raise
    except Exception as error:  # the planner raises what its libraries do
        raise_if_short(error)
        file = _unread_file(table, iceberg) if iceberg else displayed(metadata.name)
        where = f"'metadata/{file}'" if file else "its Iceberg metadata"
        problem = f"{where} cannot be read ({type(error).__name__})"
        raise unreadable(table.name, f"{problem}; {RESTORE}") from error


def _unread_file(table: Table, iceberg: StaticTable) -> str:
    """The first file that the current snapshot names and that cannot be read; empty for none.

    Raises `RunFailed` for what can be read and is not understood by the planner.
    """
    snapshot = iceberg.current_snapshot()
    path = str(snapshot.manifest_list) if snapshot else ""
    contents = set()
    try:
        for manifest in snapshot.manifests(iceberg.io) if snapshot else ():
            path = str(manifest.manifest_path)
            entries = manifest.fetch_manifest_entry(iceberg.io)
            contents |= {entry.data_file.content.name for entry in entries}
    except Exception as error:  # as above
        raise_if_short(error)
        return displayed(path.rpartition("/")[2])
    if "EQUALITY_DELETES" in contents:
        raise unreadable(table.name, _OTHER_DELETES)
    return ""


def current_metadata(table: Table) -> Path:
    """The metadata file that stands for the table. Raises `RunFailed` when that is not certain."""
    directory = Path(table.root, "metadata")
    numbered: dict[int, list[str]] = {}
    for name in sorted(os.listdir(directory)):  # noqa: PTH208
        if match := _NUMBERED.fullmatch(name):
            numbered.setdefault(int(match.group(1)), []).append(name)
    hint = directory / "version-hint.text"
    if hint.is_file():
        text = hint.read_text(encoding="utf-8", errors="replace").strip()
        number = int(text) if text.isdecimal() else -1
        names = numbered.get(number, []) or [n for n in (text,) if (directory / n).is_file()]
    else:
        names = numbered[max(numbered)] if numbered else []
    if len(names) != 1:
        why = "has no metadata file that counts" if not names else "has two newest metadata files"
        raise unreadable(table.name, f"its directory {why}; write version-hint.text")
    return directory / names[0]


def _location(table: Table, metadata: Path) -> str:
    """Where the table was when it was written: its files are named by that."""
    import gzip
    import json
    import zlib

    try:
        content = metadata.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return str(json.loads(content)["location"]).rstrip("/")
    except (ValueError, KeyError, TypeError, OSError, EOFError, zlib.error) as error:
        raise_if_short(error)
        problem = f"'metadata/{displayed(metadata.name)}' is no Iceberg metadata"
        raise unreadable(table.name, f"{problem}; {RESTORE}") from error


def _planned(table: Table, iceberg: StaticTable, location: str) -> Table:
    _refuse_nested_evolution(table, iceberg)
    columns = tuple(_column(table, found) for found in iceberg.schema().fields)
    tasks = sorted(iceberg.scan().plan_files(), key=lambda task: str(task.file.file_path))
    files, deleted = [], {}
    for index, task in enumerate(tasks):
        if str(task.file.file_format.value).lower() != "parquet":
            raise unreadable(table.name, "it has data files that are not Parquet")
        files.append(_file(table, str(task.file.file_path), location))
        if task.delete_files:
            deleted[index] = _deleted(table, task, location)
    snapshot = iceberg.current_snapshot()
    rows = sum(task.file.record_count for task in tasks) - sum(len(d) for d in deleted.values())
    version = str(snapshot.snapshot_id) if snapshot else "empty"
    plan = TablePlan(version, columns, deleted, by_field_id=True, rows=rows)
    return replace(table, files=tuple(files), plan=plan)


def _column(table: Table, found: Any) -> PlannedColumn:
    """A default for older files is read only where it is NULL."""
    if getattr(found, "initial_default", None) is not None:
        raise unreadable(
            table.name, f"the column '{displayed(found.name)}' has a default for older files"
        )
    kind = _type(table, found.field_type)
    return PlannedColumn(found.name, kind, found.name, field_id=found.field_id)


def _type(table: Table, kind: Any) -> str:
    """A type of Iceberg's schema as DuckDB names it."""
    text = str(kind)
    if text in _TYPES:
        return _TYPES[text]
    if text.startswith("decimal("):
        return text.upper()
    if text.startswith("fixed["):
        return "BLOB"
    if kind.__class__.__name__ == "ListType":
        return f"{_type(table, kind.element_type)}[]"
    if kind.__class__.__name__ == "MapType":
        return f"MAP({_type(table, kind.key_type)}, {_type(table, kind.value_type)})"
    if kind.__class__.__name__ == "StructType":
        fields = (f"{quoted_name(f.name)} {_type(table, f.field_type)}" for f in kind.fields)
        return f"STRUCT({', '.join(fields)})"
    raise unreadable(table.name, f"it has a column of the type {displayed(text)}")


def _refuse_nested_evolution(table: Table, iceberg: StaticTable) -> None:
    """The engine finds columns by their ids, but the fields inside of one by their names."""
    current = {found.field_id: found for found in iceberg.schema().fields}
    for schema in iceberg.metadata.schemas:
        for old in schema.fields:
            new = current.get(old.field_id)
            is_nested = new is not None and not new.field_type.is_primitive
            if new is not None and is_nested and _shape(old.field_type) != _shape(new.field_type):
                raise unreadable(
                    table.name,
                    f"the fields inside of '{displayed(new.name)}' were changed, which is not "
                    "read; rewrite the table's data",
                )


def _shape(kind: Any) -> str:
    return re.sub(r"\s*\([^()]*\)$", "", str(kind))


def _file(table: Table, location_of_file: str, location: str) -> FoundFile:
    path = moved(location_of_file, location, table.root)
    if not path or not is_inside(path, os.path.realpath(table.root)):
        raise unreadable(table.name, "its metadata names files outside its directory")
    return FoundFile(path, path[len(os.path.dirname(table.root)) + 1 :])  # noqa: PTH120


def moved(file: str, location: str, directory: str) -> str:
    """Where a file is now that was below `location`; empty when it was elsewhere."""
    if file.startswith(f"{location}/"):
        return f"{directory}{file[len(location) :]}"
    plain = file.removeprefix("file://")
    if plain.startswith(f"{location.removeprefix('file://')}/"):
        return f"{directory}{plain[len(location.removeprefix('file://')) :]}"
    return plain if plain.startswith(f"{directory}/") else ""


def _deleted(table: Table, task: FileScanTask, location: str) -> Sequence[int]:
    """Positions of one file that its delete files name. Other kinds of deletes are refused."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    positions: set[int] = set()
    for delete in _sorted(task.delete_files):
        is_positional = delete.content.name == "POSITION_DELETES"
        if not is_positional or str(delete.file_format.value).lower() != "parquet":
            raise unreadable(table.name, _OTHER_DELETES)
        found = _file(table, str(delete.file_path), location)
        try:
            rows = pq.read_table(found.path)
        except (pa.ArrowException, OSError) as error:
            raise_if_short(error)
            problem = f"'{displayed(found.name)}', which says what is deleted, cannot be read"
            raise unreadable(table.name, f"{problem}; {RESTORE}") from error
        own = pc.equal(rows["file_path"], str(task.file.file_path))
        positions.update(rows.filter(own)["pos"].to_pylist())
    return sorted(positions)


def _sorted(files: Iterable[Any]) -> list[Any]:
    return sorted(files, key=lambda file: str(file.file_path))
