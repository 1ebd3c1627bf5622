"""Spark's types as Arrow spells them, and as DuckDB, which encodes the rows, is to read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow

from queryrun.engines.spark.proto import DataType
from queryrun.errors import FailureCode, RunFailed


@dataclass(frozen=True, slots=True)
class Field:
    """A column on its way: `arrow_name` is what it is called in Arrow, where names are unique."""

    name: str
    arrow_name: str
    type: Any
    """A pyarrow type."""


def fields_of(schema: DataType) -> list[Field]:
    """The columns of a result. Raises `RunFailed` for a type whose values cannot be written."""
    return [_field(number, one) for number, one in enumerate(schema.struct.fields)]


def cast_to_schema(array: Any, expected: Any) -> Any:
    """An array of a batch as the schema has it; what may differ is the time zone it is shown in."""
    return array if array.type.equals(expected) else array.cast(expected)


def spark_text(field: DataType.StructField) -> str:
    """A column's type in Spark's words, as `DESCRIBE` shows it; `unknown` for what we do not know.

    Spark reads `char(n)` and `varchar(n)` as strings, and notes what they were.
    """
    noted = _CHARACTERS.search(field.metadata)
    return noted[1] if noted else _text(field.data_type)


def _text(kind: DataType) -> str:
    """Written like `DESCRIBE` writes it, so that both ways to learn a type agree."""
    name = kind.WhichOneof("kind") or "unknown"
    if name == "decimal":
        return f"decimal({kind.decimal.precision},{kind.decimal.scale})"
    if name == "array":
        return f"array<{_text(kind.array.element_type)}>"
    if name == "map":
        return f"map<{_text(kind.map.key_type)},{_text(kind.map.value_type)}>"
    if name == "struct":
        fields = (f"{_quoted(one.name)}:{_text(one.data_type)}" for one in kind.struct.fields)
        return f"struct<{','.join(fields)}>"
    return _WORDS.get(name, "unknown")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _field(number: int, field: DataType.StructField) -> Field:
    """Refused here with the name of the column: DuckDB would fail later, without it."""
    arrow_name = f"field_{number}"
    try:
        return Field(field.name, arrow_name, _arrow(field.data_type))
    except LookupError as error:
        kind = str(error.args[0]).replace("_", " ")
        message = f"Column '{field.name}' has the type {kind}: cast it to STRING"
        raise RunFailed.of(FailureCode.NOT_SUPPORTED, message) from error


def _arrow(kind: DataType) -> Any:
    """Spark's type in Arrow; `LookupError` names one that has no equivalent."""
    name = kind.WhichOneof("kind") or "unknown"
    return _PLAIN[name]() if name in _PLAIN else _NESTED[name](kind)


def _decimal(kind: DataType) -> Any:
    return pyarrow.decimal128(kind.decimal.precision, kind.decimal.scale)


def _array(kind: DataType) -> Any:
    return pyarrow.list_(
        pyarrow.field("element", _arrow(kind.array.element_type), kind.array.contains_null)
    )


def _map(kind: DataType) -> Any:
    value = pyarrow.field("value", _arrow(kind.map.value_type), kind.map.value_contains_null)
    return pyarrow.map_(pyarrow.field("key", _arrow(kind.map.key_type), False), value)


def _struct(kind: DataType) -> Any:
    return pyarrow.struct(
        [pyarrow.field(one.name, _arrow(one.data_type), one.nullable) for one in kind.struct.fields]
    )


_CHARACTERS = re.compile(r'"__CHAR_VARCHAR_TYPE_STRING"\s*:\s*"((?:var)?char\(\d+\))"')
_WORDS: Mapping[str, str] = {
    "null": "void",
    "binary": "binary",
    "boolean": "boolean",
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "string": "string",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ntz": "timestamp_ntz",
}
_PLAIN: Mapping[str, Callable[[], Any]] = {
    "null": pyarrow.null,
    "binary": pyarrow.binary,
    "boolean": pyarrow.bool_,
    "byte": pyarrow.int8,
    "short": pyarrow.int16,
    "integer": pyarrow.int32,
    "long": pyarrow.int64,
    "float": pyarrow.float32,
    "double": pyarrow.float64,
    "string": pyarrow.string,
    "char": pyarrow.string,
    "var_char": pyarrow.string,
    "date": pyarrow.date32,
    "timestamp": lambda: pyarrow.timestamp("us", tz="UTC"),
    "timestamp_ntz": lambda: pyarrow.timestamp("us"),
    "day_time_interval": lambda: pyarrow.duration("us"),
    "calendar_interval": pyarrow.month_day_nano_interval,
    "time": lambda: pyarrow.time64("ns"),
}
_NESTED: Mapping[str, Callable[[DataType], Any]] = {
    "decimal": _decimal,
    "array": _array,
    "map": _map,
    "struct": _struct,
}
"""Not here: variant, user-defined types, geometry and geography; and intervals of months, which
pyarrow reads but hands nobody."""
