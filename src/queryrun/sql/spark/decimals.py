"""Exact division of decimals in Spark's SQL, rounded half away from zero as Trino does."""

from __future__ import annotations

from queryrun.sql.trino.typed import Typed
from queryrun.sql.trino.types import Type

_MOST = 38
_WHOLE_DIGITS = 20
"""What Spark leaves for the whole part of a quotient of two decimals of 38 digits."""


def quotient(left: Typed, right: Typed, kind: Type) -> str:
    """`left / right`, both decimals, as `kind`, whose scale is no less than theirs.

    Spark rounds to more digits than are wanted; rounding those again is right if they are so
    many that no quotient which is not halfway between two results rounds to halfway: two
    different quotients halfway and not are at least 1 / (2 * divisor) apart. Where 38 digits do
    not suffice for that, whole numbers are divided, and the remainder decides.
    """
    (p1, s1), (p2, s2) = left.type.params, right.type.params
    scale = max(kind.params[1], s1)
    p1 += scale - s1
    digits = scale + p2 + 1
    if kind.params[1] >= max(s1, s2) and p1 <= _MOST and (p1 - scale + s2) + digits <= _MOST:
        a = f"CAST({left.sql} AS DECIMAL({p1},{scale}))" if scale != s1 else left.sql
        return f"CAST(({a} / {right.sql}) AS {_name(kind)})"
    return _by_whole_numbers(left, right, kind)


def _by_whole_numbers(left: Typed, right: Typed, kind: Type) -> str:
    """Fails, and does not answer, where 38 digits do not suffice for a number on the way."""
    s1, s2, scale = left.type.params[1], right.type.params[1], kind.params[1]
    up = scale - s1 + s2
    a, b = unscaled(left), unscaled(right)
    if up > 0:
        a = f"CAST(({a} * CAST({10**up} AS DECIMAL({up + 1},0))) AS DECIMAL(38,0))"
    elif up < 0:
        b = f"CAST(({b} * CAST({10**-up} AS DECIMAL({1 - up},0))) AS DECIMAL(38,0))"
    digits = f"length(CAST(abs({a}) AS STRING)) - length(CAST(abs({b}) AS STRING))"
    rest = f"CAST(({a} % {b}) AS DECIMAL(38,0))"
    whole = f"CAST((CAST(({a} - {rest}) AS DECIMAL(38,0)) / {b}) AS DECIMAL(38,0))"
    away = f"CASE WHEN abs({rest}) >= abs({b}) - abs({rest}) THEN sign({a}) * sign({b}) ELSE 0 END"
    number = scaled(f"({whole} + CAST({away} AS DECIMAL(1,0)))", kind)
    failing = "raise_error('A decimal with so many digits as a quotient is not supported')"
    return f"(CASE WHEN {digits} > {_WHOLE_DIGITS - 2} THEN {failing} ELSE {number} END)"


def unscaled(value: Typed) -> str:
    """A decimal's digits as a whole number."""
    if value.type.params[1] == 0:
        return f"CAST({value.sql} AS DECIMAL(38,0))"
    return f"CAST(replace(CAST({value.sql} AS STRING), '.', '') AS DECIMAL(38,0))"


def scaled(sql: str, kind: Type) -> str:
    """A whole number's digits as a decimal."""
    scale = kind.params[1]
    if scale == 0:
        return f"CAST({sql} AS {_name(kind)})"
    number = f"CAST({sql} AS DECIMAL(38,0))"
    plain = f"CAST(abs({number}) AS STRING)"
    digits = f"lpad({plain}, greatest({scale + 1}, length({plain})), '0')"
    sign = f"CASE WHEN {number} < 0 THEN '-' ELSE '' END"
    whole = f"left({digits}, length({digits}) - {scale})"
    return f"CAST(({sign} || {whole} || '.' || right({digits}, {scale})) AS {_name(kind)})"


def _name(kind: Type) -> str:
    return f"DECIMAL({kind.params[0]},{kind.params[1]})"
