"""Trino's types as Spark spells them, and Spark's types as Trino has them."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import UnsupportedCastError
from queryrun.sql.compile.types import Type

_SPARK = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INT",
    "bigint": "BIGINT", "real": "FLOAT", "double": "DOUBLE", "varchar": "STRING",
    "char": "STRING", "varbinary": "BINARY", "ipaddress": "BINARY",
    "date": "DATE", "timestamp": "TIMESTAMP_NTZ", t.TSTZ: "TIMESTAMP",
    "json": "STRING", "time": "BIGINT", t.TIMETZ: "BIGINT", "uuid": "STRING", "unknown": "INT",
    "interval day to second": "INTERVAL DAY TO SECOND",
    "interval year to month": "INTERVAL YEAR TO MONTH",
}  # fmt: skip
FINE = "DECIMAL(27,0)"
"""Carries a timestamp that is finer than a microsecond (`fine.py`)."""
_FROM_SPARK = {
    "boolean": t.BOOLEAN, "tinyint": t.TINYINT, "byte": t.TINYINT, "smallint": t.SMALLINT,
    "short": t.SMALLINT, "int": t.INTEGER, "integer": t.INTEGER, "bigint": t.BIGINT,
    "long": t.BIGINT, "float": t.REAL, "real": t.REAL, "double": t.DOUBLE, "string": t.VARCHAR,
    "binary": t.VARBINARY, "date": t.DATE, "timestamp_ntz": t.timestamp(6),
    "timestamp": t.timestamp_tz(6), "timestamp_ltz": t.timestamp_tz(6), "void": t.UNKNOWN,
}  # fmt: skip
_WORD = re.compile(r"[a-z_]+")
_FIELD = re.compile(r"\s*(?:`(?P<quoted>(?:[^`]|``)*)`|(?P<plain>[^:`<>,\s]+))\s*:")


def spark_name(kind: Type) -> str:
    """The Spark type that carries it. JSON and UUIDs are text there."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.params[0]},{kind.params[1]})"
    if t.is_fine(kind) and kind.name != "time":
        return FINE
    if kind.name == "array":
        return f"ARRAY<{spark_name(kind.parts[0])}>"
    if kind.name == "map":
        return f"MAP<{spark_name(kind.parts[0])}, {spark_name(kind.parts[1])}>"
    if kind.name == "row":
        pairs = zip(t.field_names(kind), kind.parts, strict=True)
        fields = ", ".join(f"{quoted(name)}: {spark_name(part)}" for name, part in pairs)
        return f"STRUCT<{fields}>"
    if kind.name not in _SPARK:
        raise UnsupportedCastError(f"Type {kind}")
    return _SPARK[kind.name]


def missing_type(kind: Type) -> Type | None:
    """A type in there that no type of Spark's carries here."""
    if not kind.parts and kind.name not in {*_SPARK, "decimal"}:
        return kind
    return next(filter(None, map(missing_type, kind.parts)), None)


def trino_type(written: str) -> Type | None:
    """The Trino type of a column that Spark calls `written` (`simpleString`, `DESCRIBE`).

    Spark's `timestamp` is a moment, Trino's `timestamp(6) with time zone`. None: there is none
    (`char(n)`, whose values Trino pads and compares in its own way, intervals, variants).
    """
    try:
        kind, rest = _read(written.strip())
    except (ValueError, LookupError):
        return None
    return None if rest.strip() else kind


def _read(text: str) -> tuple[Type, str]:
    head = _WORD.match(text.lower())
    if head is None:
        raise ValueError(text)
    name, rest = head.group(), text[head.end() :]
    if name == "decimal":
        match = re.match(r"\((\d+),\s*(\d+)\)", rest)
        if match is None:
            raise ValueError(text)
        return t.decimal(int(match[1]), int(match[2])), rest[match.end() :]
    if name == "varchar":
        match = re.match(r"\(\d+\)", rest)
        return t.VARCHAR, rest[match.end() :] if match else rest
    if name == "string":
        return t.VARCHAR, _without_collation(rest)
    if name in {"array", "map"}:
        return _read_nested(name, rest)
    if name == "struct":
        return _read_struct(rest)
    return _FROM_SPARK[name], rest


def _without_collation(rest: str) -> str:
    """Text that is compared by another collation than byte by byte is no varchar."""
    if rest.lower().startswith(" collate"):
        raise ValueError(rest)
    return rest


def _read_nested(name: str, rest: str) -> tuple[Type, str]:
    first, rest = _read(_after(rest, "<"))
    if name == "array":
        return t.array(first), _after(rest, ">")
    second, rest = _read(_after(rest, ","))
    return t.map_of(first, second), _after(rest, ">")


def _read_struct(rest: str) -> tuple[Type, str]:
    rest = _after(rest, "<")
    names, parts = [], []
    while True:
        field = _FIELD.match(rest)
        if field is None:
            raise ValueError(rest)
        quoted_name = field["quoted"]
        names.append(field["plain"] if quoted_name is None else quoted_name.replace("``", "`"))
        part, rest = _read(rest[field.end() :].lstrip())
        parts.append(part)
        rest = rest.lstrip()
        if rest.startswith(">"):
            return t.row(parts, names), rest[1:]
        rest = _after(rest, ",")


def _after(text: str, prefix: str) -> str:
    text = text.lstrip()
    if not text.startswith(prefix):
        raise ValueError(text)
    return text[1:].lstrip()


def quoted(value: str) -> str:
    """A quoted name."""
    return "`" + value.replace("`", "``") + "`"


def text(value: str) -> str:
    """A string literal. Spark would read `${x}` as a variable of the session, even in there."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\u0024{")
    return f"'{escaped}'"
