"""Types that files have and Trino has not, as the nearest type of Trino's.

The rule (docs/reference/data.md): the type that holds every value; where none does, the nearest
one, and a value that it cannot hold fails the statement that reads it, never another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from queryrun.sql.duckdb.types import from_duckdb
from queryrun.tables.sql import quoted_name, quoted_text
from queryrun.tables.text.faults import COLUMN_FAULT, cut

MAX_DIGITS = 38
_AS_TEXT = {"time with time zone", "timetz", "bit", "bignum", "geometry"}
_CASTS = {
    "time_ns": "TIME",
    "timestamp_s": "TIMESTAMP",
    "timestamp_ms": "TIMESTAMP",
}
_FLOATS = {"double", "float", "real"}
_HAS_FLOATS = re.compile(r"\b(double|float|real)\b", re.IGNORECASE)
"""In the name of a type. Names of its fields may say so in vain, which does no harm."""
_LAST_MICRO = (2**63 + 499) // 1000
"""Of the nanoseconds that 64 bits count."""
_LAST_TIME = "TIME '23:59:59.999999'"
"""Of a day: a nanosecond later is rounded to none of the next."""
_LARGEST = "9" * MAX_DIGITS
_TOO_LARGE = "a whole number in it has more than 38 digits"
_MONTHS = "an interval has months; only intervals of days and seconds are read"


def readable(connection: DuckDBPyConnection, table: str, source: str, *, collated: bool) -> str:
    """A table of a database with the columns that Trino lacks the type for converted.

    `collated`: some of its texts may have a collation, which Trino has not: they are compared as
    they stand, whatever their owner compares them by.
    """

    def plainly(sql: str, kind: str) -> str:
        return f'{sql} COLLATE "binary"' if collated and kind == "VARCHAR" else sql

    return _readable(connection.sql(f"FROM {source}"), table, source, {}, plainly)


def readable_as(
    bound: DuckDBPyRelation, table: str, relation: str, unreadable: Mapping[str, str]
) -> str:
    """`readable` of Parquet files, where a relation with the columns has been bound already: that
    opens a file."""
    return _readable(bound, table, relation, unreadable, without_bounds)


def without_bounds(value: str, kind: str) -> str:
    """The same value, of which DuckDB does not know the bounds that a Parquet file's end has.

    They leave out NaN, and DuckDB concludes from them that there is none: `is_nan` would be false
    of a NaN, and a filter would miss it. Of what has no floats the bounds are true and useful.
    """
    if kind.lower() in _FLOATS:
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE {value} END"
    # What holds floats has their bounds with it through every CASE, and not through a list's end.
    return f"([{value}] || [])[1]" if _HAS_FLOATS.search(kind) else value


def _readable(
    bound: DuckDBPyRelation,
    table: str,
    relation: str,
    unreadable: Mapping[str, str],
    finish: Callable[[str, str], str],
) -> str:
    """`finish` makes the SQL of a value, given that and its type, into what is read."""
    replaced = []
    for name, kind in zip(bound.columns, bound.types, strict=True):
        where = f"Table '{cut(table)}', column '{cut(name)}': "
        value = quoted_name(name)
        if name in unreadable:
            sql = f"CAST(error({quoted_text(COLUMN_FAULT + where + unreadable[name])}) AS VARCHAR)"
        else:
            sql = finish(converted(value, kind, where) or value, str(kind))
        if sql != value:
            replaced.append(f"{sql} AS {value}")
    return f"(SELECT * REPLACE ({', '.join(replaced)}) FROM {relation})" if replaced else relation


def converted(value: str, kind: Any, where: str, depth: int = 0) -> str | None:
    """SQL of the value as a type of Trino's; None when it is one already."""
    name = str(kind).lower()
    if name == "timestamp_ns":
        return f"make_timestamp({_rounded(value, 'TIMESTAMP')})"
    if name == "timestamptz_ns":
        return f"make_timestamptz({_rounded(value, 'TIMESTAMPTZ')})"
    if name == "time_ns":
        rounded = f"CAST({value} AS TIME)"
        return f"CASE WHEN {rounded} = TIME '24:00:00' THEN {_LAST_TIME} ELSE {rounded} END"
    if name in _CASTS:
        return f"CAST({value} AS {_CASTS[name]})"
    if name in _AS_TEXT:
        return f"CAST({value} AS VARCHAR)"
    if name in {"hugeint", "uhugeint"}:
        return _decimal(value, name, where)
    if name == "variant":
        return f"CAST({value} AS JSON)"
    if name == "interval":
        error = f"error({quoted_text(COLUMN_FAULT + where + _MONTHS)})"
        return (
            f"CASE WHEN datepart('year', {value}) <> 0 OR datepart('month', {value}) <> 0 "
            f"THEN {error} ELSE {value} END"
        )
    return _nested(value, kind, where, depth)


def _decimal(value: str, name: str, where: str) -> str:
    """Whole numbers of 128 bits; those beyond the largest decimal fail, and name their column."""
    largest = f"CAST({quoted_text(_LARGEST)} AS {name})"
    is_beyond = f"{value} > {largest}"
    if name == "hugeint":
        is_beyond += f" OR {value} < -{largest}"
    error = f"error({quoted_text(COLUMN_FAULT + where + _TOO_LARGE)})"
    return f"CASE WHEN {is_beyond} THEN {error} ELSE CAST({value} AS DECIMAL(38,0)) END"


def type_name(engine_type: str) -> str:
    """Trino's name of a type, for messages; the engine's where Trino has none."""
    found = from_duckdb(engine_type)
    return str(found[0]) if found else engine_type.lower()


def _rounded(value: str, kind: str) -> str:
    """Microseconds, to the nearest, as Trino's CAST does it; `//` rounds towards zero.

    The first and the last nanosecond of 64 bits, which pandas calls `Timestamp.min` and `.max`, are
    infinite to the engine.
    """
    ns, micros = f"epoch_ns({value})", f"CAST({value} AS {kind})"
    return (
        f"CASE WHEN isinf({micros}) THEN "
        f"CASE WHEN {micros} > {kind} '2000-01-01' THEN {_LAST_MICRO} ELSE -{_LAST_MICRO} END "
        f"ELSE {ns} // 1000 + CASE WHEN {ns} % 1000 >= 500 THEN 1 "
        f"WHEN {ns} % 1000 < -500 THEN -1 ELSE 0 END END"
    )


def _nested(value: str, kind: Any, where: str, depth: int) -> str | None:
    item = f"e{depth}"
    if kind.id in {"list", "array"}:
        inner = converted(item, kind.children[0][1], where, depth + 1)
        source = f"CAST({value} AS {kind.children[0][1]}[])" if kind.id == "array" else value
        return None if inner is None else f"list_transform({source}, lambda {item}: {inner})"
    if kind.id == "map":
        parts = dict(kind.children)
        key = converted(f"{item}.key", parts["key"], where, depth + 1)
        mapped = converted(f"{item}.value", parts["value"], where, depth + 1)
        if key is None and mapped is None:
            return None
        entry = f"{{'key': {key or f'{item}.key'}, 'value': {mapped or f'{item}.value'}}}"
        return f"map_from_entries(list_transform(map_entries({value}), lambda {item}: {entry}))"
    if kind.id == "union":
        return _union(value, kind, where, depth)
    if kind.id in {"struct", "tuple"}:
        return _struct(value, kind, where, depth)
    return None


def _struct(value: str, kind: Any, where: str, depth: int) -> str | None:
    fields = list(kind.children)
    if not all(name for name, _ in fields):
        return _unnamed(value, fields, where, depth)
    parts, any_converted = [], False
    for name, part in fields:
        inner = f"{value}.{quoted_name(name)}"
        sql = converted(inner, part, where, depth)
        any_converted = any_converted or sql is not None
        parts.append(f"{quoted_name(name)} := {sql or inner}")
    if not any_converted:
        return None
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"


def _unnamed(value: str, fields: list[tuple[str, Any]], where: str, depth: int) -> str | None:
    """A row whose fields have no names stays one; each is reached by its number."""
    parts = []
    for number, (_, part) in enumerate(fields, 1):
        inner = f"{value}[{number}]"
        parts.append(converted(inner, part, where, depth))
    if not any(parts):
        return None
    items = ", ".join(sql or f"{value}[{number}]" for number, sql in enumerate(parts, 1))
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE row({items}) END"


def _union(value: str, kind: Any, where: str, depth: int) -> str:
    """A row of the tag and every member, of which one is set."""
    parts = [f"tag := CAST(union_tag({value}) AS VARCHAR)"]
    for name, part in kind.children:
        if name == "":
            continue
        inner = f"union_extract({value}, {quoted_text(name)})"
        parts.append(f"{quoted_name(name)} := {converted(inner, part, where, depth) or inner}")
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"
