"""Trino's types as JDBC has them: what `system.jdbc.columns` and `system.jdbc.types` tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from queryrun.sql.compile import types as t
from queryrun.sql.compile.types import Type

_OTHER = 2000
_MAX = 2**31 - 1
_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 24, "double": 53}
_CODES = {
    "bigint": -5, "integer": 4, "smallint": 5, "tinyint": -6, "real": 7, "double": 8,
    "boolean": 16, "varchar": 12, "char": 1, "varbinary": -3, "date": 91, "time": 92,
    t.TIMETZ: 2013, "timestamp": 93, t.TSTZ: 2014, "decimal": 3, "array": 2003,
}  # fmt: skip
"""`java.sql.Types`; everything else is `OTHER`."""
_WIDTHS = {"time": 8, t.TIMETZ: 14, "timestamp": 21, t.TSTZ: 55}
"""Characters of a value without fraction of a second."""
_LISTED = (
    "bigint", "boolean", "date", "double", "interval day to second", "interval year to month",
    "integer", "json", "real", "smallint", "tinyint", "unknown", "uuid", "varbinary",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Facts:
    code: int
    size: int | None
    digits: int | None
    radix: int | None
    octets: int | None


def facts(kind: Type) -> tuple[int | str | None, ...]:
    """`data_type` to `char_octet_length` of `system.jdbc.columns`. Every column may be NULL."""
    one = _facts(kind)
    return (
        one.code, str(kind), one.size, 0, one.digits, one.radix, 1, None, None, None, None,
        one.octets,
    )  # fmt: skip


def rows() -> Iterator[tuple[str | int | bool | None, ...]]:
    """`system.jdbc.types`: the types without parameters that statements can name here."""
    for name in _LISTED:
        one = _facts(Type(name))
        yield (
            name, one.code, one.size, None, None, None, 1, False, 3, None, False, None, None, 0, 0,
            None, None, one.radix,
        )  # fmt: skip


def _facts(kind: Type) -> _Facts:
    name, params = kind.name, kind.params
    code = _CODES.get(name, _OTHER)
    if name in _DIGITS:
        return _Facts(code, _DIGITS[name], None, 2 if name in {"real", "double"} else 10, None)
    if name == "decimal":
        return _Facts(code, params[0], params[1], 10, None)
    if name in {"varchar", "char", "varbinary"}:
        length = params[0] if params else _MAX
        return _Facts(code, length, None, None, length)
    if name == "date":
        return _Facts(code, 14, None, None, None)
    if name in _WIDTHS:
        precision = params[0] if params else 3
        size = _WIDTHS[name] + (precision + 1 if precision else 0)
        return _Facts(code, size, precision, None, None)
    return _Facts(code, None, None, None, None)
