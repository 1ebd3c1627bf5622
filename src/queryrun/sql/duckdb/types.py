"""DuckDB's types, as Trino's, and the other way around."""

from __future__ import annotations

import re

from queryrun.sql.compile.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DAYS,
    DOUBLE,
    INTEGER,
    JSON,
    REAL,
    SMALLINT,
    TIMETZ,
    TINYINT,
    TSTZ,
    UNKNOWN,
    UUID,
    VARBINARY,
    VARCHAR,
    Type,
    array,
    decimal,
    field_names,
    is_fine,
    map_of,
    row,
)
from queryrun.sql.trino.spelling import name

_DUCKDB = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER",
    "bigint": "BIGINT", "real": "FLOAT", "double": "DOUBLE", "varchar": "VARCHAR",
    "varbinary": "BLOB", "date": "DATE", "timestamp": "TIMESTAMP", TSTZ: "TIMESTAMPTZ",
    "time": "TIME", "json": "JSON", "uuid": "UUID", "unknown": "INTEGER",
    "interval day to second": "INTERVAL", "interval year to month": "INTERVAL",
    "char": "VARCHAR", "ipaddress": "BLOB",
}  # fmt: skip
_FROM_DUCKDB = {
    "BOOLEAN": BOOLEAN, "TINYINT": TINYINT, "SMALLINT": SMALLINT, "INTEGER": INTEGER,
    "BIGINT": BIGINT, "FLOAT": REAL, "REAL": REAL, "DOUBLE": DOUBLE, "VARCHAR": VARCHAR,
    "BLOB": VARBINARY, "DATE": DATE, "JSON": JSON, "UUID": UUID, "INTERVAL": DAYS,
    "TIMESTAMP": Type("timestamp", (6,)), "TIMESTAMP WITH TIME ZONE": Type(TSTZ, (6,)),
    "TIMESTAMPTZ": Type(TSTZ, (6,)), "TIME": Type("time", (6,)),
    "NULL": UNKNOWN, '"NULL"': UNKNOWN,
}  # fmt: skip
_CONVERTED = {
    "UTINYINT": SMALLINT, "USMALLINT": INTEGER, "UINTEGER": BIGINT,
    "UBIGINT": Type("decimal", (20, 0)), "HUGEINT": Type("decimal", (38, 0)),
    "TIMESTAMP_S": Type("timestamp", (0,)), "TIMESTAMP_MS": Type("timestamp", (3,)),
}  # fmt: skip
"""DuckDB's types that Trino lacks, each with the type of Trino's that holds all its values."""


def duckdb_name(kind: Type) -> str:
    """The DuckDB type that carries it."""
    if kind.name == TIMETZ or is_fine(kind):
        return "BIGINT" if kind.name in {"time", TIMETZ} else "HUGEINT"
    if kind.name == "decimal":
        precision, scale = kind.params
        if precision == scale < 38:
            precision += 1  # without a digit in front DuckDB prints .05 for 0.05
        return f"DECIMAL({precision},{scale})"
    if kind.name == "array":
        return duckdb_name(kind.parts[0]) + "[]"
    if kind.name == "map":
        return f"MAP({duckdb_name(kind.parts[0])}, {duckdb_name(kind.parts[1])})"
    if kind.name == "row" and not any(kind.names):
        return "TUPLE(" + ", ".join(duckdb_name(part) for part in kind.parts) + ")"
    if kind.name == "row":
        names = field_names(kind)
        fields = zip(names, kind.parts, strict=True)
        return "STRUCT(" + ", ".join(f"{name(n)} {duckdb_name(t)}" for n, t in fields) + ")"
    return _DUCKDB[kind.name]


def from_duckdb(text: str) -> tuple[Type, bool] | None:
    """The Trino type for a DuckDB type, and whether values must be cast to it; None: no type."""
    try:
        kind, converted, rest = _read(text.strip())
    except (ValueError, LookupError):
        return None
    return (kind, converted) if not rest.strip() else None


_HEAD = re.compile(r'\s*("NULL"|[A-Za-z_][A-Za-z0-9_ ]*)')
_FIELD = re.compile(r'\s*("(?:[^"]|"")*"|[^\s"(),]+)\s+')


def _read(text: str) -> tuple[Type, bool, str]:
    head = _HEAD.match(text)
    if head is None:
        raise ValueError(text)
    name, rest = head.group(1).strip().upper(), text[head.end() :]
    kind, converted, rest = _read_named(name, rest)
    while rest.startswith("["):
        close = rest.index("]")
        converted = converted or close > 1
        kind, rest = array(kind), rest[close + 1 :]
    return kind, converted, rest


def _read_named(name: str, rest: str) -> tuple[Type, bool, str]:
    if name == "DECIMAL":
        match = re.match(r"\((\d+),\s*(\d+)\)", rest)
        if match is None:
            raise ValueError(rest)
        kind = decimal(int(match[1]), int(match[2]))
        return kind, kind.params[0] == kind.params[1] < 38, rest[match.end() :]
    if name == "ENUM":
        return VARCHAR, True, rest[rest.index(")") + 1 :]
    if name == "MAP":
        key, a, rest = _read(rest[1:])
        value, b, rest = _read(rest[1:])
        return map_of(key, value), a or b, rest[1:]
    if name in {"STRUCT", "TUPLE"}:
        return _read_row(rest[1:], has_names=name == "STRUCT")
    if name in _FROM_DUCKDB:
        return _FROM_DUCKDB[name], False, rest
    return _CONVERTED[name], True, rest


def _read_row(rest: str, *, has_names: bool) -> tuple[Type, bool, str]:
    parts, names, any_converted = [], [], False
    while True:
        if has_names:
            field = _FIELD.match(rest)
            if field is None:
                raise ValueError(rest)
            names.append(_unquoted(field.group(1)))
            rest = rest[field.end() :]
        else:
            names.append("")
        part, converted, rest = _read(rest)
        parts.append(part)
        any_converted = any_converted or converted
        end, rest = rest.lstrip()[0], rest.lstrip()[1:]
        if end == ")":
            return row(parts, names), any_converted, rest


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
