"""Parquet files as a relation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from queryrun.tables.identity import FileIdentity
from queryrun.tables.model import displayed, unreadable
from queryrun.tables.partitions import link_names, partitioned
from queryrun.tables.snapshot import TableSnapshot
from queryrun.tables.sql import quoted_name, quoted_text, text_list
from queryrun.tables.text.faults import COLUMN_FAULT, cut
from queryrun.tables.types import MAX_DIGITS, readable_as, type_name
from queryrun.tables.unify import MAX_EXACT, NULL, Differ, common_type, needs_check

MAX_SCHEMAS = 500
"""Different schemas among the files of one table."""
_WIDE = "its decimals have more than 38 digits; write it as a decimal(38, …), a double or a text"
_REMEMBERED_FILES = 200_000
_schemas: OrderedDict[FileIdentity, str] = OrderedDict()
"""The schema, as a text, of files that this process has looked at: a few hundred bytes each at
most, and most of them are the same object."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Files with the same columns of the same types. `indexes` are among the table's files."""

    indexes: Sequence[int]
    own_types: Sequence[tuple[str, str]]
    """Names and types as the files have them."""
    columns: Mapping[str, Any]
    """The types as they are read, by name."""
    wide: Mapping[str, str]
    """Columns that cannot be read, and why."""
    bound: DuckDBPyRelation
    """The first of them, as it is."""

    @property
    def names(self) -> dict[str, str]:
        """The columns' names by lower-case name."""
        return {name.lower(): name for name in self.columns}


def read_parquet(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """All files of the snapshot, columns matched by name (`relation.Reader`)."""
    for file in table.files:
        if not file.identity.size_bytes:
            problem = f"'{displayed(file.found.name)}' is empty (0 bytes); write it again"
            raise unreadable(table.table.name, f"{problem}, or remove it")
    groups = _groups(connection, table)
    own = [group.names.keys() for group in groups]
    if len(groups) == 1:
        made = partitioned(table, table.paths, _relation, own)
        _note(table, groups[0].wide)
        return readable_as(groups[0].bound, table.table.name, made, groups[0].wide)
    united = _United(table, groups)
    return partitioned(table, table.paths, united.relation, own)


def _relation(paths: Sequence[str], options: str) -> str:
    return f"read_parquet({text_list(paths)}{options})"


def _note(table: TableSnapshot, faults: Mapping[str, str]) -> None:
    name = cut(table.table.name)
    for column, why in faults.items():
        table.column_faults[column] = f"Table '{name}', column '{cut(column)}': {why}"


class _United:
    """Files of several schemas: each group is read as it is, and then cast to what all have."""

    def __init__(self, table: TableSnapshot, groups: Sequence[_Group]) -> None:
        self._table, self._groups = table, groups
        self._names: dict[str, str] = {}
        for group in groups:
            for key, name in group.names.items():
                self._names.setdefault(key, name)
        self._types = {key: self._type(key) for key in self._names}

    def relation(self, paths: list[str], options: str) -> str:
        """`partitions.Relation`: `paths` stand for all files, in order, or for the first."""
        links = link_names(self._table) if options else []
        parts = []
        for group in self._groups:
            own = [paths[index] for index in group.indexes if index < len(paths)]
            if own:
                parts.append(self._part(group, _relation(own, options), links))
        return f"({' UNION ALL '.join(parts)})"

    def _type(self, key: str) -> str:
        """Empty for a column that cannot be read; then the snapshot knows why."""
        found = [(group, group.names[key]) for group in self._groups if key in group.names]
        why = next((group.wide[name] for group, name in found if name in group.wide), "")
        try:
            common = common_type([group.columns[name] for group, name in found])
        except Differ:
            why = why or self._disagreement(key)
            common = ""
        if why:
            _note(self._table, {self._names[key]: why})
        return "" if why else ("VARCHAR" if common == NULL else common)

    def _disagreement(self, key: str) -> str:
        seen: dict[str, str] = {}
        for group in self._groups:
            if key in group.names:
                file = self._table.files[group.indexes[0]].found.name
                seen.setdefault(type_name(str(group.columns[group.names[key]])), displayed(file))
        pairs = [f"'{file}' has {cut(kind)}" for kind, file in seen.items()][:2]
        return (
            f"its files do not agree on the type ({' and '.join(pairs)}), and none keeps all "
            "values; write them with one type"
        )

    def _part(self, group: _Group, relation: str, links: Sequence[str]) -> str:
        read = readable_as(group.bound, self._table.table.name, relation, group.wide)
        items = [
            f"{self._value(group, key)} AS {quoted_name(self._names[key])}" for key in self._names
        ]
        return f"SELECT {', '.join([*items, *links])} FROM {read}"

    def _value(self, group: _Group, key: str) -> str:
        kind, name = self._types[key], group.names.get(key)
        if not kind:
            fault = self._table.column_faults[self._names[key]]
            return f"CAST(error({quoted_text(COLUMN_FAULT + fault)}) AS VARCHAR)"
        if name is None:
            return f"CAST(NULL AS {kind})"
        value = quoted_name(name)
        if not needs_check(group.columns[name], kind):
            return f"CAST({value} AS {kind})"
        where = f"Table '{cut(self._table.table.name)}', column '{cut(name)}': "
        fault = f"{where}a whole number in it is too large for the doubles of its other files"
        return (
            f"CASE WHEN abs(CAST({value} AS HUGEINT)) > {MAX_EXACT} "
            f"THEN error({quoted_text(COLUMN_FAULT + fault)}) ELSE CAST({value} AS {kind}) END"
        )


def _groups(connection: DuckDBPyConnection, table: TableSnapshot) -> list[_Group]:
    by_schema: dict[str, list[int]] = {}
    for index, schema in enumerate(_schemas_of(connection, table)):
        by_schema.setdefault(schema, []).append(index)
    if len(by_schema) > MAX_SCHEMAS:
        problem = f"its files have {len(by_schema)} different schemas; {MAX_SCHEMAS} are possible"
        raise unreadable(table.table.name, problem)
    found: dict[Any, _Group] = {}
    for indexes in by_schema.values():
        group = _group(connection, table, indexes)
        key = (group.own_types, tuple(group.wide))
        same = found.get(key)
        if same:
            group = replace(same, indexes=[*same.indexes, *indexes])
        found[key] = group
    return list(found.values())


def _group(connection: DuckDBPyConnection, table: TableSnapshot, indexes: list[int]) -> _Group:
    sample = table.paths[indexes[0]]
    elements = _elements(connection, sample)
    namesakes = _namesakes(elements)
    if namesakes:
        first, second = map(cut, namesakes)
        file = displayed(table.files[indexes[0]].found.name)
        problem = f"'{file}' has two columns '{first}' and '{second}'"
        advice = "which SQL does not tell apart; rename one and write the file again"
        raise unreadable(table.table.name, f"{problem}, {advice}")
    wide = _too_wide(elements)
    described = _relation([sample], "")
    bound = connection.sql(f"FROM {described}")
    own_types = tuple(zip(bound.columns, map(str, bound.types), strict=True))
    read = readable_as(bound, table.table.name, described, wide)
    as_read = bound if read == described else connection.sql(f"FROM {read}")
    columns = dict(zip(as_read.columns, as_read.types, strict=True))
    return _Group(indexes, own_types, columns, wide, bound)


def _schemas_of(connection: DuckDBPyConnection, table: TableSnapshot) -> list[str]:
    """Of each file, in order. A version of a file is looked at once by a process."""
    if len(table.files) == 1:
        return [""]
    unknown = {f.read_path: f for f in table.files if f.identity not in _schemas}
    if unknown:
        rows = connection.execute(
            "SELECT file_name, string_agg(concat_ws('\t', name, num_children, duckdb_type, "
            "precision, logical_type, converted_type), '\n' ORDER BY column_id) "
            "FROM parquet_schema($1) GROUP BY 1",
            [list(unknown)],
        ).fetchall()
        interned: dict[str, str] = {}
        for path, schema in rows:
            _schemas[unknown[path].identity] = interned.setdefault(schema, schema)
    found = [_schemas[file.identity] for file in table.files]
    while len(_schemas) > _REMEMBERED_FILES:
        _schemas.popitem(last=False)
    return found


def _elements(connection: DuckDBPyConnection, path: str) -> list[tuple[str, int, int | None]]:
    """Name, number of children and digits of everything in a file's schema, parents first."""
    rows = connection.execute(
        "SELECT name, coalesce(num_children, 0), precision "
        f"FROM parquet_schema({text_list([path])})"
    ).fetchall()
    return [(str(name), int(count), None if p is None else int(p)) for name, count, p in rows]


def _too_wide(elements: Sequence[tuple[str, int, int | None]]) -> dict[str, str]:
    """Columns with decimals that the engine would read as doubles, losing digits."""
    found = {}
    column, left = "", 0
    for name, children, precision in elements[1:]:
        if left == 0:
            column, left = name, 1
        left += children - 1
        if precision is not None and precision > MAX_DIGITS:
            found[column] = _WIDE
    return found


def _namesakes(elements: Sequence[tuple[str, int, int | None]]) -> tuple[str, str] | None:
    """Two columns, or two fields of one, that SQL cannot tell apart: the engine would rename one.

    `open_parents` has, from the outside in, the names seen in each and how many are to come.
    """
    open_parents: list[tuple[dict[str, str], int]] = []
    for name, children, _ in elements:
        if open_parents:
            seen, left = open_parents.pop()
            if name.lower() in seen:
                return seen[name.lower()], name
            seen[name.lower()] = name
            if left > 1:
                open_parents.append((seen, left - 1))
        if children:
            open_parents.append(({}, children))
    return None
