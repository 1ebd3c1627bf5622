"""One type for a column whose files have several: the one that keeps every value, or none.

The engine would take a type that all can be cast to, and digits are lost on the way: decimals of
two scales, or large whole numbers beside doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from queryrun.tables.sql import quoted_name
from queryrun.tables.types import MAX_DIGITS

NULL = '"NULL"'
"""The type of a column that a writer knew no value of."""
_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
_UNSIGNED = {"UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT"}
_UNSIGNED |= {"UBIGINT": "DECIMAL(20,0)", "HUGEINT": "DECIMAL(38,0)"}
_FLOATS = {"FLOAT", "DOUBLE"}
MAX_EXACT = 2**53
"""Up to here a double keeps every whole number."""


class Differ(Exception):
    """No type keeps all values."""


def common_type(kinds: Sequence[Any]) -> str:
    """The type, as DuckDB names it, that keeps every value of these. Raises `Differ`."""
    return reduce(_pair, kinds[1:], _plain(kinds[0])) if kinds else NULL


def needs_check(kind: Any, common: str) -> bool:
    """Whether values above `MAX_EXACT` would lose digits."""
    return common == "DOUBLE" and str(kind) in {"BIGINT", "UINTEGER"}


def _plain(kind: Any) -> Any:
    return _UNSIGNED.get(str(kind), kind)


def _pair(a: Any, b: Any) -> str:
    one, two = str(_plain(a)), str(_plain(b))
    if one == two or two == NULL:
        return one
    if one == NULL:
        return two
    if {one, two} == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    return _numbers(one, two) or _nested(a, b)


def _numbers(one: str, two: str) -> str | None:
    if one in _FLOATS or two in _FLOATS:
        both = {one, two}
        return "DOUBLE" if both <= _FLOATS | _DIGITS.keys() else None
    if one in _DIGITS and two in _DIGITS:
        return max(one, two, key=lambda kind: _DIGITS[kind])
    first, second = _decimal(one), _decimal(two)
    if first is None or second is None:
        return None
    scale = max(first[1], second[1])
    whole = max(first[0] - first[1], second[0] - second[1])
    if whole + scale > MAX_DIGITS:
        raise Differ
    return f"DECIMAL({whole + scale},{scale})"


def _decimal(kind: str) -> tuple[int, int] | None:
    if kind in _DIGITS:
        return _DIGITS[kind], 0
    if not kind.startswith("DECIMAL("):
        return None
    digits, _, scale = kind[len("DECIMAL(") : -1].partition(",")
    return int(digits), int(scale)


def _nested(a: Any, b: Any) -> str:
    """Arrays, maps and rows by their parts; a field that one lacks is NULL there."""
    if isinstance(a, str) or isinstance(b, str) or a.id != b.id:
        raise Differ
    if a.id == "list":
        return f"{_inner(a.children[0][1], b.children[0][1])}[]"
    if a.id == "map":
        parts = (_inner(x[1], y[1]) for x, y in zip(a.children, b.children, strict=True))
        return f"MAP({', '.join(parts)})"
    if a.id != "struct":
        raise Differ
    others = {name.lower(): kind for name, kind in b.children}
    fields = [(name, _inner(kind, others.get(name.lower(), kind))) for name, kind in a.children]
    known = {name.lower() for name, _ in fields}
    if not known & others.keys():
        raise Differ
    fields += [(name, str(kind)) for name, kind in b.children if name.lower() not in known]
    return f"STRUCT({', '.join(f'{quoted_name(name)} {kind}' for name, kind in fields)})"


def _inner(a: Any, b: Any) -> str:
    """Inside of a value nothing is checked, so only what always fits."""
    common = _pair(a, b)
    if needs_check(a, common) or needs_check(b, common):
        raise Differ
    return str(common)
