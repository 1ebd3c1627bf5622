"""Trino's types: which Arrow type carries each, and which DuckDB type the file shows.

What a file shows is what the embedded engine would show for the same value. Finer than a
microsecond, which DuckDB would cut off, and types that DuckDB lacks are text as Trino prints it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.trino.spelling import name

FINEST = 6
"""Digits of a second that DuckDB's times hold."""
_PLAIN: dict[str, tuple[str, Any, str]] = {
    "boolean": ("as_is", pa.bool_(), "BOOLEAN"),
    "tinyint": ("as_is", pa.int8(), "TINYINT"),
    "smallint": ("as_is", pa.int16(), "SMALLINT"),
    "integer": ("as_is", pa.int32(), "INTEGER"),
    "bigint": ("as_is", pa.int64(), "BIGINT"),
    "real": ("float", pa.float32(), "FLOAT"),
    "double": ("float", pa.float64(), "DOUBLE"),
    "varchar": ("as_is", pa.string(), "VARCHAR"),
    "char": ("as_is", pa.string(), "VARCHAR"),
    "date": ("date", pa.date32(), "DATE"),
    "json": ("as_is", pa.string(), "JSON"),
    "uuid": ("as_is", pa.string(), "UUID"),
    "unknown": ("as_is", pa.int32(), "INTEGER"),
}
_BINARY = frozenset(
    ["varbinary", "hyperloglog", "p4hyperloglog", "qdigest", "tdigest", "setdigest"]
)
_TIMES = {
    "time": ("time", pa.time64("us"), "TIME"),
    "time with time zone": ("as_is", pa.string(), "TIMETZ"),
    "timestamp": ("timestamp", pa.timestamp("us"), "TIMESTAMP"),
    "timestamp with time zone": ("instant", pa.timestamp("us", "UTC"), "TIMESTAMPTZ"),
}
_TEXT = ("text", pa.string(), "VARCHAR")
_NO_KEYS = frozenset(["array", "map", "row"])


@dataclass(frozen=True, slots=True)
class Kind:
    """A type. `reading` is how `values.py` makes an Arrow array of Trino's JSON.

    `duckdb_type` is the DuckDB type of the relation; where DuckDB would not make it of `arrow` by
    itself, `is_cast`. `parts` are a nested type's.
    """

    reading: str
    arrow: Any
    duckdb_type: str
    is_cast: bool = False
    parts: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a result as Trino describes it."""

    name: str
    kind: Kind


def columns_of(described: Sequence[Mapping[str, Any]]) -> list[ResultColumn]:
    """The columns in a page of Trino's. `RunFailed` (`not_supported`) for what no file can hold."""
    return [
        ResultColumn(str(column["name"]), _top_kind(column["typeSignature"]))
        for column in described
    ]


def _top_kind(signature: Mapping[str, Any]) -> Kind:
    if signature["rawType"] == "unknown":
        return Kind("as_is", pa.null(), '"NULL"')
    return kind_of(signature)


def kind_of(signature: Mapping[str, Any]) -> Kind:
    """The type that a `typeSignature` of Trino's protocol stands for."""
    raw = str(signature["rawType"]).lower()
    arguments = signature.get("arguments", [])
    match raw:
        case "array":
            return _array(kind_of(arguments[0]["value"]))
        case "map":
            return _map(kind_of(arguments[0]["value"]), kind_of(arguments[1]["value"]))
        case "row":
            return _row([argument["value"] for argument in arguments])
        case "decimal":
            return _decimal(int(arguments[0]["value"]), int(arguments[1]["value"]))
    if raw in _BINARY:
        return Kind("binary", pa.binary(), "BLOB")
    if raw in _TIMES:
        digits = int(arguments[0]["value"]) if arguments else 3
        return _kind(_TIMES[raw] if digits <= FINEST else _TEXT)
    return _kind(_PLAIN.get(raw, _TEXT))


def _kind(found: tuple[str, Any, str]) -> Kind:
    reading, arrow, duckdb_type = found
    return Kind(reading, arrow, duckdb_type, is_cast=duckdb_type in {"JSON", "UUID", "TIMETZ"})


def _decimal(precision: int, scale: int) -> Kind:
    if precision == scale < 38:
        precision += 1  # without a digit in front DuckDB prints .05 for 0.05
    return Kind("decimal", pa.decimal128(precision, scale), f"DECIMAL({precision},{scale})")


def _array(element: Kind) -> Kind:
    return Kind(
        "array", pa.list_(element.arrow), f"{element.duckdb_type}[]", element.is_cast, (element,)
    )


def _map(key: Kind, value: Kind) -> Kind:
    """Keys are text in the JSON of Trino, from which nested values cannot be read back."""
    if key.reading in _NO_KEYS:
        raise RunFailed.of(
            FailureCode.NOT_SUPPORTED,
            "A result column with a map whose keys are arrays, maps or rows is not supported",
        )
    duckdb_type = f"MAP({key.duckdb_type}, {value.duckdb_type})"
    arrow = pa.map_(key.arrow, value.arrow)
    return Kind("map", arrow, duckdb_type, key.is_cast or value.is_cast, (key, value))


def _row(fields: Sequence[Mapping[str, Any]]) -> Kind:
    """Rows without field names become tuples; if some fields have names, the others get one."""
    parts = tuple(kind_of(field["typeSignature"]) for field in fields)
    given = [str((field.get("fieldName") or {}).get("name", "")) for field in fields]
    names = _distinct([own or f"field{number}" for number, own in enumerate(given)])
    arrow = pa.struct([pa.field(own, part.arrow) for own, part in zip(names, parts, strict=True)])
    if not any(given):
        duckdb_type = f"TUPLE({', '.join(part.duckdb_type for part in parts)})"
        return Kind("row", arrow, duckdb_type, True, parts)
    members = ", ".join(
        f"{name(n)} {part.duckdb_type}" for n, part in zip(names, parts, strict=True)
    )
    return Kind("row", arrow, f"STRUCT({members})", any(p.is_cast for p in parts), parts)


def _distinct(names: Sequence[str]) -> list[str]:
    """DuckDB's structs have no two members of one name, whatever its case."""
    taken: set[str] = set()
    found = []
    for own in names:
        number, new = 0, own
        while new.lower() in taken:
            number += 1
            new = f"{own}_{number}"
        taken.add(new.lower())
        found.append(new)
    return found
