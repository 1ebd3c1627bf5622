"""A table format's plan: which files a version has, its columns, and which rows are deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from duckdb import DuckDBPyConnection

from queryrun.extras import install_command
from queryrun.tables.instants import IS_LOCAL, at_utc
from queryrun.tables.model import PlannedColumn, TablePlan, displayed, unreadable
from queryrun.tables.partitions import link_options, linked_paths
from queryrun.tables.snapshot import TableSnapshot
from queryrun.tables.sql import quoted_name, quoted_text, text_list
from queryrun.tables.types import without_bounds

_FILE = "queryrun_file"
_PLAIN_TYPES = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DATE", "BOOLEAN"}


def extra_is_missing(kind: str) -> str:
    """Why a table of `kind` cannot be read where its packages are missing, and what to do."""
    return (
        f"it is {kind} table, and this installation does not read these. On the server, "
        f"{install_command('lake')}, or export the table as Parquet files"
    )


def read_planned(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """The rows of a planned table (`relation.Reader`): exactly the columns that its schema has."""
    plan = table.table.plan
    if plan is None:
        raise unreadable(table.table.name, "its log has not been read")
    if not table.files:
        return f"(SELECT {_projection(plan, set(), {})} WHERE false)"
    if plan.by_field_id:
        _require_field_ids(connection, table)
    rows = _Rows(plan, table)
    parts = [rows.relation(part) for part in _zoned_alike(connection, plan, table)]
    selects = (f"SELECT {_projected(connection, plan, part)} FROM {part}" for part in parts)
    return f"({' UNION ALL '.join(selects)})"


def _zoned_alike(
    connection: DuckDBPyConnection, plan: TablePlan, table: TableSnapshot
) -> list[list[int]]:
    """The files by their numbers, those together whose timestamps have a zone or none alike.

    Read together, the engine would make one kind of the other in the session's zone.
    """
    numbers = list(range(len(table.files)))
    if len(numbers) == 1 or plan.by_field_id or not any(map(_has_timestamps, plan.columns)):
        return [numbers]
    rows = connection.execute(
        f"SELECT file_name, list_sort(list(name) FILTER (WHERE {IS_LOCAL})) "
        "FROM parquet_schema($1) GROUP BY 1",
        [table.paths],
    ).fetchall()
    local = {str(path): str(names) for path, names in rows}
    parts: dict[str, list[int]] = {}
    for number, path in enumerate(table.paths):
        parts.setdefault(local.get(path, ""), []).append(number)
    return list(parts.values())


def _has_timestamps(column: PlannedColumn) -> bool:
    return "TIMESTAMP" in column.type


def _projected(connection: DuckDBPyConnection, plan: TablePlan, relation: str) -> str:
    bound = connection.sql(f"FROM {relation}")
    present = {str(name).lower() for name in bound.columns}
    kinds = dict(zip((name.lower() for name in bound.columns), bound.types, strict=True))
    zoned = {}
    for column in filter(_has_timestamps, plan.columns):
        found = kinds.get(column.source.lower())
        if found is not None and column.partition_index is None:
            required = connection.dtype(column.type)
            zoned[column.source] = at_utc(quoted_name(column.source), found, required)
    return _projection(plan, present, {name: sql for name, sql in zoned.items() if sql})


@dataclass(frozen=True)
class _Rows:
    """The files' own columns, without the rows that are deleted."""

    plan: TablePlan
    table: TableSnapshot

    def relation(self, chosen: Sequence[int]) -> str:
        """Of the files of these numbers."""
        paths, options = self._paths
        deleted = {i: self.plan.deleted[i] for i in chosen if len(self.plan.deleted.get(i, ()))}
        whole = [paths[i] for i in chosen if i not in deleted]
        parts = [f"SELECT * FROM {self._read(whole, options)}"] if whole else []
        if deleted:
            parts.append(self._without(paths, deleted, options))
        return f"({' UNION ALL BY NAME '.join(parts)})"

    @cached_property
    def _paths(self) -> tuple[list[str], str]:
        """A catalog only describes: a partition's value is then any."""
        table = self.table
        if not table.table.partition_keys:
            return table.paths, ""
        if table.work_dir is None:
            return table.paths, ""
        linked = linked_paths(table.work_dir, table, table.paths, table.files)
        return linked, link_options(self._partition_types())

    def _partition_types(self) -> list[str]:
        """What has one spelling is read as what it is, the rest as texts."""
        kinds = {column.partition_index: column.type for column in self.plan.columns}
        found = [kinds.get(index, "") for index in range(len(self.table.table.partition_keys))]
        return [kind if kind in _PLAIN_TYPES else "VARCHAR" for kind in found]

    def _read(self, paths: Sequence[str], options: str) -> str:
        if self.plan.by_field_id:
            fields = ", ".join(
                f"{c.field_id}: {{name: {quoted_text(c.source)}, type: {quoted_text(c.type)}, "
                f"default_value: {c.default}}}"
                for c in self.plan.columns
            )
            return f"read_parquet({text_list(paths)}, schema=MAP {{{fields}}}{options})"
        union = ", union_by_name=true" if len(paths) > 1 else ""
        return f"read_parquet({text_list(paths)}{union}{options})"

    def _without(self, paths: list[str], deleted: Mapping[int, Sequence[int]], options: str) -> str:
        """Rows are known by file and position. The positions are a file, so any number will do."""
        more = f", filename={quoted_text(_FILE)}, file_row_number=true"
        read = self._read([paths[i] for i in deleted], f"{options}{more}")
        if self.table.work_dir is None:
            return f"SELECT * EXCLUDE ({_FILE}, file_row_number) FROM {read}"
        positions = _positions_file(self.table.work_dir, self.table.version, paths, deleted)
        return (
            f"SELECT d.* EXCLUDE ({_FILE}, file_row_number) FROM {read} AS d ANTI JOIN "
            f"read_parquet({quoted_text(positions)}) AS x "
            f"ON d.{_FILE} = x.file AND d.file_row_number = x.position"
        )


def _positions_file(
    work_dir: Path, version: str, paths: list[str], deleted: Mapping[int, Sequence[int]]
) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    directory = work_dir / f"table-{version}-deleted"
    directory.mkdir(mode=0o700, exist_ok=True)
    target = directory / f"positions{min(deleted)}.parquet"
    schema = pa.schema([("file", pa.string()), ("position", pa.int64())])
    with pq.ParquetWriter(target, schema) as writer:
        for index, rows in deleted.items():
            positions = pa.array(rows, pa.int64())
            names = pa.array([paths[index]] * len(positions), pa.string())
            writer.write_table(pa.table([names, positions], schema=schema))
    return str(target)


def _projection(plan: TablePlan, present: set[str], zoned: Mapping[str, str]) -> str:
    """Every column of the schema, of its type: one that no file has yet is its default.

    `zoned` has the SQL of those whose timestamps must be given their zone, or lose it.
    """
    items = []
    for column in plan.columns:
        source = column.default
        if column.partition_index is not None:
            link = f"queryrun_p{column.partition_index}"
            source = link if link in present else "NULL"
        elif column.source.lower() in present:
            value = zoned.get(column.source) or quoted_name(column.source)
            source = without_bounds(value, column.type)
        items.append(f"CAST({source} AS {column.type}) AS {quoted_name(column.name)}")
    return ", ".join(items)


def _require_field_ids(connection: DuckDBPyConnection, table: TableSnapshot) -> None:
    """Columns are found by their ids: in a file without them all would silently be NULL.

    Instants that a file does not say to be any are refused: found by their ids, the engine would
    take them for local times.
    """
    columns = table.table.plan.columns if table.table.plan else ()
    zoned = [column.field_id for column in columns if "TIME ZONE" in column.type]
    rows = connection.execute(
        f"SELECT file_name, count(field_id) = 0, bool_or({IS_LOCAL} AND field_id IN "
        "(SELECT unnest($2::integer[]))) FROM parquet_schema($1) GROUP BY 1",
        [table.paths, zoned],
    ).fetchall()
    names = {file.read_path: file.found.name for file in table.files}
    for path, has_no_ids, is_local in rows:
        if not has_no_ids and not is_local:
            continue
        problem = "has no field ids" if has_no_ids else "has timestamps without their zone"
        where = displayed(names.get(path, "a file"))
        raise unreadable(table.table.name, f"'{where}' {problem}; rewrite the table's data")
