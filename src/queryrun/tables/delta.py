"""Delta tables: their log is read by `deltalake`, their files by the engine."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from queryrun.errors import RunFailed
from queryrun.tables.delta_faults import empty_commit, fault_in_log, reader_features
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
    from deltalake import DeltaTable

_FEATURES = {"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint"}
_FEATURES |= {"vacuumProtocolCheck"}
_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
}
_PHYSICAL = "delta.columnMapping.physicalName"


def plan_delta(table: Table) -> Table:
    """The table with the files and columns of its newest version (`snapshot.Planner`)."""
    try:
        from deltalake import DeltaTable
    except ImportError as error:
        raise unreadable(table.name, extra_is_missing("a Delta")) from error
    try:
        _refuse_empty_commits(table)
        delta = DeltaTable(table.root)
        return _planned(table, delta)
    except RunFailed:
        raise
    except Exception as error:  # the planner raises what its libraries do
        raise_if_short(error)
        problem = fault_in_log(table.root) or _unknown(reader_features(table.root))
        raise unreadable(table.name, problem or _reason(error)) from error


def _planned(table: Table, delta: DeltaTable) -> Table:
    from deltalake.exceptions import DeltaError

    _refuse_features(table, delta)
    mapping = delta.metadata().configuration.get("delta.columnMapping.mode") or "none"
    if mapping not in {"none", "name"}:
        raise unreadable(table.name, f"its columns are mapped by {mapping}, which is not read")
    fields = json.loads(delta.schema().to_json())["fields"]
    keys = delta.metadata().partition_columns
    columns = tuple(_column(table, field, keys, mapping) for field in fields)
    by_key = {column.name: column for column in columns}
    actions = _rows(delta.get_add_actions(flatten=True))
    files = tuple(_file(table, action, [by_key[key] for key in keys]) for action in actions)
    counts = [action.get("num_records") for action in actions]
    try:
        deleted = _deleted(table, delta, files)
    except DeltaError as error:
        problem = "a file of its deletion vectors is missing or damaged"
        raise unreadable(table.name, f"{problem}; {RESTORE}") from error
    known = [int(count) for count in counts if count is not None]
    is_known = len(known) == len(counts)
    rows = sum(known) - sum(len(d) for d in deleted.values()) if is_known else None
    plan = TablePlan(str(delta.version()), columns, deleted, rows=rows)
    return replace(table, files=files, partition_keys=tuple(keys), plan=plan)


def _refuse_empty_commits(table: Table) -> None:
    if problem := empty_commit(table.root):
        raise unreadable(table.name, problem)


def _refuse_features(table: Table, delta: DeltaTable) -> None:
    """What a reader must know of, and this one does not: refused, never guessed."""
    problem = _unknown({str(feature) for feature in delta.protocol().reader_features or ()})
    if problem:
        raise unreadable(table.name, problem)


def _unknown(features: Collection[str]) -> str:
    unknown = ", ".join(sorted(set(features) - _FEATURES))
    return f"it needs the Delta reader features {unknown}, which are not read" if unknown else ""


def _column(
    table: Table, field: Mapping[str, Any], keys: Sequence[str], mapping: str
) -> PlannedColumn:
    name = str(field["name"])
    metadata = field.get("metadata") or {}
    source = str(metadata.get(_PHYSICAL, name)) if mapping == "name" else name
    if mapping == "name" and _PHYSICAL in json.dumps(field["type"]):
        raise unreadable(
            table.name,
            f"the column '{displayed(name)}' has mapped fields inside, which are not read",
        )
    kind = _type(table, field["type"])
    index = keys.index(name) if name in keys else None
    return PlannedColumn(name, kind, source, partition_index=index)


def _type(table: Table, kind: Any) -> str:
    """A type of Delta's schema as DuckDB names it."""
    if isinstance(kind, str):
        if kind in _TYPES:
            return _TYPES[kind]
        if kind.startswith("decimal("):
            return kind.upper()
    elif kind["type"] == "array":
        return f"{_type(table, kind['elementType'])}[]"
    elif kind["type"] == "map":
        return f"MAP({_type(table, kind['keyType'])}, {_type(table, kind['valueType'])})"
    elif kind["type"] == "struct":
        fields = (f"{quoted_name(f['name'])} {_type(table, f['type'])}" for f in kind["fields"])
        return f"STRUCT({', '.join(fields)})"
    raise unreadable(table.name, f"it has a column of the type {displayed(str(kind))}")


def _file(table: Table, action: Mapping[str, Any], keys: Sequence[PlannedColumn]) -> FoundFile:
    path = os.path.join(table.root, unquote(str(action["path"]).removeprefix("file://")))  # noqa: PTH118
    if not is_inside(path, os.path.realpath(table.root)):
        raise unreadable(table.name, "its log names files outside its directory")
    partition = tuple((key.name, _partition_value(action, key)) for key in keys)
    name = path[len(os.path.dirname(table.root)) + 1 :]  # noqa: PTH120
    return FoundFile(path, name, partition=partition)


def _partition_value(action: Mapping[str, Any], key: PlannedColumn) -> str | None:
    """The log has it as text; the planner may have made a value of it already."""
    for name in (key.name, key.source):
        value = action.get(f"partition.{name}")
        if value is not None:
            return str(value).lower() if isinstance(value, bool) else str(value)
    return None


def _deleted(
    table: Table, delta: DeltaTable, files: Sequence[FoundFile]
) -> dict[int, Sequence[int]]:
    """Positions that deletion vectors mark. Their masks may be shorter than the file."""
    features = {str(feature) for feature in delta.protocol().reader_features or ()}
    if "deletionVectors" not in features:
        return {}
    import pyarrow as pa
    import pyarrow.compute as pc

    by_path = {os.path.realpath(file.path): index for index, file in enumerate(files)}
    found: dict[int, Sequence[int]] = {}
    for batch in pa.RecordBatchReader.from_stream(delta.deletion_vectors()):
        for uri, mask in zip(batch.column(0), batch.column(1), strict=True):
            path = os.path.realpath(unquote(str(uri).removeprefix("file://")))
            if path not in by_path:
                path = os.path.realpath(str(uri).removeprefix("file://"))
            if path not in by_path:
                raise unreadable(table.name, "a deletion vector is of no file of the table")
            found[by_path[path]] = pc.indices_nonzero(pc.invert(mask.values))
    return found


def _rows(actions: Any) -> list[dict[str, Any]]:
    import pyarrow as pa

    rows: list[dict[str, Any]] = pa.table(actions).to_pylist()
    return rows


def _reason(error: Exception) -> str:
    """The planner's words may name paths of this machine, so only their kind is told."""
    return (
        f"its Delta log cannot be read ({type(error).__name__}); check it with another Delta reader"
    )
