"""Exact division of decimals in Spark's SQL, rounded half away from zero as Trino does."""

from __future__ import annotations

from collections.abc import Callable

from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.binding import all_bound, bound

MAX_DIGITS = 38
EXACT_DIGITS = 34
"""To so many Spark's minus sign and its `abs` round."""
_WHOLE_DIGITS = 20
"""What Spark leaves for the whole part of a quotient of two decimals of 38 digits."""
_FAILING = "raise_error('A decimal with so many digits as a quotient is not supported')"


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
    if (
        kind.params[1] >= max(s1, s2)
        and p1 <= MAX_DIGITS
        and (p1 - scale + s2) + digits <= MAX_DIGITS
    ):
        a = f"CAST({left.sql} AS DECIMAL({p1},{scale}))" if scale != s1 else left.sql
        return f"CAST(({a} / {right.sql}) AS {_name(kind)})"
    return _by_whole_numbers(left, right, kind)


def _by_whole_numbers(left: Typed, right: Typed, kind: Type) -> str:
    """Fails, and does not answer, where 38 digits do not suffice for a number on the way."""
    up = kind.params[1] - left.type.params[1] + right.type.params[1]
    if _is_too_long(left, up) or _is_too_long(right, -up):
        return f"CAST({_FAILING} AS {_name(kind)})"
    numbers = {"a": _shifted(unscaled(left), up), "b": _shifted(unscaled(right), -up)}

    def rounded(v: str) -> str:
        rest = {"a": f"{v}.a", "b": f"{v}.b", "r": f"CAST(({v}.a % {v}.b) AS DECIMAL(38,0))"}
        return all_bound(rest, lambda w: bound(_rounded_quotient(w), _scaled_to(kind), "n"), "w")

    return all_bound(numbers, rounded, "v")


def _is_too_long(value: Typed, digits: int) -> bool:
    """Whether a literal has no room for so many zeros behind it, or no exact absolute value."""
    written = "".join(filter(str.isdigit, str(value.constant or ""))).lstrip("0")
    is_rounded = len(written) > EXACT_DIGITS and str(value.constant).startswith("-")
    return is_rounded or (digits > 0 and len(written) + digits > MAX_DIGITS)


def _shifted(sql: str, digits: int) -> str:
    if digits <= 0:
        return sql
    factor = f"CAST({10**digits} AS DECIMAL({digits + 1},0))"
    return f"CAST(({sql} * {factor}) AS DECIMAL(38,0))"


def _rounded_quotient(v: str) -> str:
    """Of whole numbers `a` and `b`, whose remainder `r` says which way to round."""
    digits = f"length(CAST(abs({v}.a) AS STRING)) - length(CAST(abs({v}.b) AS STRING))"
    whole = f"CAST((CAST(({v}.a - {v}.r) AS DECIMAL(38,0)) / {v}.b) AS DECIMAL(38,0))"
    away = f"abs({v}.r) >= abs({v}.b) - abs({v}.r)"
    one = f"CAST(CASE WHEN {away} THEN sign({v}.a) * sign({v}.b) ELSE 0 END AS DECIMAL(1,0))"
    fits = f"{digits} <= {_WHOLE_DIGITS - 2}"
    found = f"CAST(({whole} + {one}) AS DECIMAL(38,0))"
    return f"(CASE WHEN {fits} THEN {found} WHEN {v}.r IS NOT NULL THEN {_FAILING} END)"


def negated(value: Typed) -> str:
    """The other sign, with all digits."""
    if value.type.params[0] <= EXACT_DIGITS:
        return f"(-{value.sql})"
    return f"CAST((CAST(0 AS DECIMAL(1,0)) - {value.sql}) AS {_name(value.type)})"


def absolute(value: Typed) -> str:
    """Without its sign, with all digits."""
    if value.type.params[0] <= EXACT_DIGITS:
        return f"abs({value.sql})"

    def chosen(x: str) -> str:
        return f"(CASE WHEN {x} < 0 THEN {negated(Typed(x, value.type))} ELSE {x} END)"

    return bound(value.sql, chosen, "x")


def unscaled(value: Typed) -> str:
    """A decimal's digits as a whole number."""
    if value.type.params[1] == 0:
        return f"CAST({value.sql} AS DECIMAL(38,0))"
    return f"CAST(replace(CAST({value.sql} AS STRING), '.', '') AS DECIMAL(38,0))"


def _scaled_to(kind: Type) -> Callable[[str], str]:
    """A whole number's digits as a decimal."""
    scale = kind.params[1]

    def scaled(number: str) -> str:
        if scale == 0:
            return f"CAST({number} AS {_name(kind)})"
        plain = f"CAST(abs({number}) AS STRING)"
        digits = f"lpad({plain}, greatest({scale + 1}, length({plain})), '0')"
        sign = f"CASE WHEN {number} < 0 THEN '-' ELSE '' END"
        whole = f"left({digits}, length({digits}) - {scale})"
        return f"CAST(({sign} || {whole} || '.' || right({digits}, {scale})) AS {_name(kind)})"

    return scaled


def _name(kind: Type) -> str:
    return f"DECIMAL({kind.params[0]},{kind.params[1]})"
