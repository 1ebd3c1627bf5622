"""Which row groups of Parquet files a filter leaves, by the smallest and largest values in them.

A filter of DuckDB's plan becomes a condition on these values. What it cannot express rules out
nothing: the estimate is then larger than what is read, never smaller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from queryrun.engines.duckdb.parquet_calls import ParquetCall
from queryrun.engines.duckdb.scan_memory import RememberedEnds, WholeFile
from queryrun.tables.snapshot import Snapshot
from queryrun.tables.sql import quoted_name, quoted_text, text_list

Node = Mapping[str, Any]

_MIRRORED = {
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}
_CONDITIONS = {
    "COMPARE_LESSTHAN": "{low} < {value}",
    "COMPARE_LESSTHANOREQUALTO": "{low} <= {value}",
    "COMPARE_GREATERTHAN": "{high} > {value}",
    "COMPARE_GREATERTHANOREQUALTO": "{high} >= {value}",
    "COMPARE_EQUAL": "{low} <= {value} AND {high} >= {value}",
}
EVERY_ROW_GROUP = "true"
"""A condition."""
_LITERALS = {"STRING", "INTEGER", "NUMERIC", "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class RowGroups:
    """What is left of some files: their paths, and the sums over their row groups."""

    paths: frozenset[str]
    rows: int
    read_bytes: int
    columns: tuple[str, ...] = ()
    """All that are read, those that filters alone need too."""


@dataclass(slots=True)
class ZoneMaps:
    """Reads the ends of Parquet files. One statement's: files are as they were when it began.

    The ends of the snapshot's files are read once and `remembered`.
    """

    connection: duckdb.DuckDBPyConnection
    remembered: RememberedEnds | None = None
    snapshot: Snapshot | None = None
    _types: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def left_by(
        self, paths: Sequence[str], columns: Sequence[str], filters: Sequence[str]
    ) -> RowGroups:
        """What a scan of these columns reads of the files, filters' own columns included."""
        if not paths:
            return RowGroups(frozenset(), 0, 0)
        types = self._types_of(paths[0])
        pruning = _Pruning(types)
        conditions = [pruning.condition(node) for node in map(self._tree, filters)]
        read = {_leaf(types, name) for name in (*columns, *pruning.columns)}
        condition = " AND ".join(f"coalesce({one}, true)" for one in conditions if one)
        condition = condition or EVERY_ROW_GROUP
        rows = self._rows(paths, _Question(read, pruning.bounds, condition))
        return RowGroups(
            frozenset(str(path) for path, *_ in rows),
            sum(int(count) for _, count, _ in rows),
            sum(int(size) for *_, size in rows),
            tuple(sorted(one for one in read if types_key(types, one.partition(_INNER)[0]))),
        )

    def _rows(self, paths: Sequence[str], question: _Question) -> list[tuple[str, int, int]]:
        """Path, rows and bytes of each file of which a row group is left."""
        numbers = self._numbers(paths)
        if self.remembered is None or numbers is None:
            sql = question.sql(f"parquet_metadata({text_list(paths)})", "file_name")
            return [(str(a), int(b), int(c)) for a, b, c in self.connection.execute(sql).fetchall()]
        if question.condition == EVERY_ROW_GROUP:
            files = {path: self.remembered.whole_file(numbers[path]) for path in paths}
            return _whole_files(files, question.read)
        of = ", ".join(map(str, sorted(set(numbers.values()))))
        sql = question.sql(f"(FROM chunks WHERE file IN ({of}))", "file")
        found = {file: rest for file, *rest in self.remembered.connection.execute(sql).fetchall()}
        left = [(path, *found[numbers[path]]) for path in paths if numbers[path] in found]
        return [(path, int(rows), int(size)) for path, rows, size in left]

    def _numbers(self, paths: Sequence[str]) -> Mapping[str, int] | None:
        """What the remembered ends call these files; None when they do not have all of them."""
        if self.remembered is None or self.snapshot is None:
            return None
        known = self.snapshot.identities(paths)
        return self.remembered.numbers_of(known) if len(known) == len(paths) else None

    def _types_of(self, path: str) -> Mapping[str, str]:
        if path not in self._types:
            file = self.snapshot.identities([path]).get(path) if self.snapshot else None
            known = self.remembered.types_of(file) if self.remembered else None
            self._types[path] = known or self._described(path)
            if self.remembered:
                self.remembered.note_types(file, self._types[path])
        return self._types[path]

    def _described(self, path: str) -> Mapping[str, str]:
        described = f"DESCRIBE FROM read_parquet({text_list([path])}, hive_partitioning=false)"
        rows = self.connection.execute(described).fetchall()
        return {str(name): str(kind) for name, kind, *_ in rows}

    def _tree(self, text: str) -> Node:
        row = self.connection.execute(
            "SELECT json_serialize_sql($1)", [f"SELECT 1 WHERE {text}"]
        ).fetchone()
        parsed: dict[str, Any] = json.loads(row[0]) if row else {}
        if parsed.get("error", True):
            return {}
        found: Node = parsed["statements"][0]["node"]["where_clause"]
        return found


def types_key(types: Mapping[str, str], name: str) -> str:
    """The file's own spelling of a column; empty when it has none of this name."""
    if name in types:
        return name
    return next((one for one in types if one.lower() == name.lower()), "")


def _whole_files(
    files: Mapping[str, WholeFile | None], read: set[str]
) -> list[tuple[str, int, int]]:
    """As `ZoneMaps._rows`, of files whose row groups are added up already."""
    names = [name.lower() for name in read]
    chosen: dict[tuple[str, ...], list[int]] = {}
    found = []
    for path, file in files.items():
        if file is None:
            continue
        if file.paths not in chosen:
            chosen[file.paths] = [n for n, one in enumerate(file.paths) if _is_of(one, names)]
        size_bytes = sum(file.sizes_bytes[index] for index in chosen[file.paths])
        found.append((path, file.rows, size_bytes))
    return found


def _is_of(path: str, names: Sequence[str]) -> bool:
    """Whether the metadata's path is one of the columns, or of a field of one."""
    return any(path == name or path.startswith(name + _INNER) for name in names)


def _leaf(types: Mapping[str, str], name: str) -> str:
    """A column as the metadata have it: of `a.b`, the field `b` of the column `a`."""
    known = types_key(types, name)
    column, dot, field = name.partition(".")
    top = types_key(types, column) if dot and not known else ""
    return known or (f"{top}{_INNER}{field.replace('.', _INNER)}" if top else name)


def _path(types: Mapping[str, str], column: Node) -> tuple[str, str] | None:
    """The name in the metadata and the type of a column, or of a field of one; None for what is
    neither: a list's elements have no name of their own."""
    names = [str(name) for name in column.get("column_names") or []]
    path = [types_key(types, names[0])] if names else []
    if not path or not path[0]:
        return None
    kind = types[path[0]]
    for name in names[1:]:
        fields = _fields(kind)
        path.append(types_key(fields, name))
        if not path[-1]:
            return None
        kind = fields[path[-1]]
    return _INNER.join(path), kind


def _fields(kind: str) -> Mapping[str, str]:
    """The fields of a struct and their types; none for any other type."""
    if not kind.startswith("STRUCT("):
        return {}
    return {str(name): str(one) for name, one in duckdb.sqltype(kind).children}


@dataclass(slots=True)
class _Pruning:
    """Conditions on row groups. `columns` are all that filters name, `bounds` those compared."""

    types: Mapping[str, str]
    columns: set[str] = field(default_factory=set)
    bounds: dict[str, int] = field(default_factory=dict)

    def condition(self, node: Node) -> str:
        """SQL that is false where no row can pass; empty where that cannot be told."""
        self._note_columns(node)
        return self._possible(node)

    def _possible(self, node: Node) -> str:
        kind = str(node.get("type", ""))
        if kind == "CONJUNCTION_AND":
            parts = [one for one in map(self._possible, node["children"]) if one]
            return f"({' AND '.join(parts)})" if parts else ""
        if kind == "CONJUNCTION_OR":
            parts = [self._possible(one) for one in node["children"]]
            return f"({' OR '.join(parts)})" if all(parts) else ""
        if kind == "COMPARE_IN":
            column, *values = node["children"]
            parts = [self._compared("COMPARE_EQUAL", column, value) for value in values]
            return f"({' OR '.join(parts)})" if parts and all(parts) else ""
        if kind == "COMPARE_BETWEEN":
            low = self._compared("COMPARE_GREATERTHANOREQUALTO", node["input"], node["lower"])
            high = self._compared("COMPARE_LESSTHANOREQUALTO", node["input"], node["upper"])
            return f"({low} AND {high})" if low and high else ""
        if kind in _MIRRORED:
            left, right = node["left"], node["right"]
            return self._compared(kind, left, right) or self._compared(_MIRRORED[kind], right, left)
        return self._nulls(kind, node)

    def _nulls(self, kind: str, node: Node) -> str:
        tests = {"OPERATOR_IS_NULL": "n{0} > 0", "OPERATOR_IS_NOT_NULL": "n{0} < v{0}"}
        number = self._bound(node["children"][0]) if kind in tests else None
        return "" if number is None else f"({tests[kind].format(number)})"

    def _compared(self, kind: str, column: Node, value: Node) -> str:
        literal, number = _literal(value), self._bound(column)
        found = _path(self.types, column)
        if literal is None or number is None or found is None:
            return ""
        own = found[1]
        parts = {
            "low": f"TRY_CAST(lo{number} AS {own})",
            "high": f"TRY_CAST(hi{number} AS {own})",
            "value": f"TRY_CAST({literal} AS {own})",
        }
        return f"({_CONDITIONS[kind].format(**parts)})"

    def _bound(self, column: Node) -> int | None:
        found = _path(self.types, column)
        return self.bounds.setdefault(found[0], len(self.bounds)) if found else None

    def _note_columns(self, node: object) -> None:
        if isinstance(node, list):
            for one in node:
                self._note_columns(one)
        elif isinstance(node, dict):
            if node.get("class") == "COLUMN_REF":
                names = [str(name) for name in node["column_names"]]
                self.columns.add(".".join(names) if _path(self.types, node) else names[0])
            for one in node.values():
                self._note_columns(one)


def _literal(node: Node) -> str | None:
    """A constant as SQL, whatever type the plan casts it to: the column's own type decides."""
    while node.get("type") == "OPERATOR_CAST":
        node = node["child"]
    literal = node.get("literal") if node.get("type") == "VALUE_CONSTANT" else None
    if not isinstance(literal, dict) or literal.get("kind") not in _LITERALS:
        return None
    return quoted_text(str(literal["text"]))


_INNER = ", "
"""Between a column and its fields, in the metadata."""
_AGGREGATES = {
    "lo": "max(stats_min_value)",
    "hi": "max(stats_max_value)",
    "n": "max(coalesce(stats_null_count, 1))",
    "v": "max(num_values)",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """Of files' ends: how large these columns are, where the condition on `bounds` is not false."""

    read: set[str]
    bounds: Mapping[str, int]
    condition: str

    def sql(self, source: str, file: str) -> str:
        """One row for each file of which a row group is left: the column `file`, rows and bytes."""
        is_read = " OR ".join(
            f"lower(path_in_schema) = {quoted_text(name.lower())} "
            f"OR starts_with(lower(path_in_schema), {quoted_text(name.lower() + _INNER)})"
            for name in sorted(self.read)
        )
        size = f"sum(total_compressed_size) FILTER (WHERE {is_read})" if self.read else "0"
        items = [
            f"{sql} FILTER (WHERE path_in_schema = {quoted_text(name)}) AS {prefix}{number}"
            for name, number in self.bounds.items()
            for prefix, sql in _AGGREGATES.items()
        ]
        more = "".join(f", {item}" for item in items)
        return (
            f"SELECT {file}, sum(group_rows), sum(size) FROM ("
            f"SELECT {file}, row_group_id, any_value(row_group_num_rows) AS group_rows, "
            f"coalesce({size}, 0) AS size{more} FROM {source} "
            f"GROUP BY ALL) WHERE {self.condition} GROUP BY {file}"
        )


def partition_paths(
    connection: duckdb.DuckDBPyConnection, call: ParquetCall, filters: Sequence[str]
) -> list[str] | None:
    """The files that filters on partitions leave; None when DuckDB's text cannot be evaluated. The
    text has the columns of the files, and inside of functions those of the view."""
    partitions = call.partitions
    names = sorted({name for one in partitions for name in one})
    values = [tuple(one.get(name) for name in names) for one in partitions]
    distinct = list(dict.fromkeys(values))
    rows = ", ".join(
        f"({', '.join([str(number), *map(_value, of)])})" for number, of in enumerate(distinct)
    )
    columns = ", ".join(["number", *map(quoted_name, names)])
    condition = " AND ".join(filters)
    viewed = ", ".join(["*", *call.named])
    known = f"(SELECT {viewed} FROM (VALUES {rows}) t({columns}))"
    sql = f"SELECT number FROM {known} WHERE {condition}"
    try:
        left = {distinct[number] for (number,) in connection.execute(sql).fetchall()}
    except duckdb.Error:
        return None
    return [path for path, of in zip(call.paths, values, strict=True) if of in left]


def _value(text: str | None) -> str:
    return "CAST(NULL AS VARCHAR)" if text is None else f"CAST({quoted_text(text)} AS VARCHAR)"
