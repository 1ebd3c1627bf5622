"""Scalar functions that look at their arguments: choices and numbers."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.comparisons import NESTED, orderable
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import types
from queryrun.sql.duckdb.comparisons import field, ordered, unorderable
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.decimals import scaled, unscaled
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import cast, exact
from queryrun.sql.trino.records import ast

# --- choices --------------------------------------------------------------------------------


@special("try")
def _try(c: DuckDBCompiler, node: ast.Call) -> Typed:
    before, c.in_try, c.try_at = c.in_try, True, node.at
    try:
        with c.aggregates_before() as computed:
            (value,) = c.args(node, 1)
    finally:
        c.in_try = before
    sql = f"TRY({exact(value)})"
    for name, aggregate in computed:
        sql = c.bound(name, aggregate, sql)
    return Typed(sql, value.type)


@special("greatest", "least")
def _extremes(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """NULL when any argument is; DuckDB passes nulls over."""
    values = c.args(node, 1, 127)
    kind = c.unified(values, node.at, node.name)
    if kind.name in NESTED:
        return _extreme_nested(c, node, values, kind)
    items = [exact(cast(value, kind)) for value in values]
    missing = " OR ".join(f"{item} IS NULL" for item in items)
    found = f"{node.name}({', '.join(items)})"
    if t.is_floating(kind) and node.name == "greatest":  # NaN only where there is nothing else
        numbers = ", ".join(f"CASE WHEN NOT isnan({item}) THEN {item} END" for item in items)
        found = f"coalesce(greatest({numbers}), {found})"
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {found} END)", kind)


def _has_floating(kind: t.Type) -> bool:
    return t.is_floating(kind) or any(map(_has_floating, kind.parts))


def _extreme_nested(c: DuckDBCompiler, node: ast.Call, values: list[Typed], kind: t.Type) -> Typed:
    if _has_floating(kind) and orderable(kind):
        return _extreme_with_nan(c, node, [c.cast_to(value, kind) for value in values], kind)
    if not orderable(kind) or any(t.bare(value.type) != t.bare(kind) for value in values):
        c.refuse(f"{node.name} of {kind}", node.at)
    items = [ordered(c, value) for value in values]
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {node.name}({', '.join(items)}) END)", kind)


def _extreme_with_nan(
    c: DuckDBCompiler, node: ast.Call, values: list[Typed], kind: t.Type
) -> Typed:
    """NaN inside is less than all else for the greatest, and more than all else for the least."""
    unfit = " OR ".join(f"({unorderable(c, v.sql, kind, with_nan=False)})" for v in values)
    refusal = c.unsupported("Ordering arrays or rows with NULL inside")
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
    pairs = ", ".join(f"row({_key(c, v, node.name)}, {v.sql})" for v in values)
    chosen = f"list_{'max' if node.name == 'greatest' else 'min'}([{pairs}])[2]"
    return Typed(
        f"(CASE WHEN {missing} THEN NULL WHEN {unfit} THEN {refusal} ELSE {chosen} END)",
        kind,
    )


def _key(c: DuckDBCompiler, value: Typed, name: str) -> str:
    """A value to order by, in which what may be NaN stands behind whether it is."""
    kind = value.type
    if t.is_floating(kind):
        first = "NOT isnan" if name == "greatest" else "isnan"
        return f"row({first}({value.sql}), {value.sql})"
    if kind.name == "array" and _has_floating(kind):
        item = c.fresh("p")
        body = _key(c, Typed(item, kind.parts[0]), name)
        return f"list_transform({value.sql}, lambda {item}: {body})"
    if kind.name == "row" and _has_floating(kind):
        parts = [_key(c, field(value, n), name) for n in range(len(kind.parts))]
        return f"row({', '.join(parts)})"
    return value.sql


# --- numbers --------------------------------------------------------------------------------


@special("abs", "sign", "ceil", "ceiling", "floor", "round", "truncate")
def _rounding(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Decimals stay decimals, of a precision by Trino's rules; the rest is in the table."""
    args = c.args(node, 1, 2)
    if args[0].type.name == "decimal":
        return _round_decimal(c, node, args)
    if len(args) == 2 and t.is_integer(args[0].type):
        if node.name == "truncate":
            return _round_to_digits(c, node, [cast(args[0], _DECIMALS[args[0].type.name]), args[1]])
        return _round_integer(c, node, args)
    return c.plain(node, args)


def _round_decimal(c: DuckDBCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    value = args[0]
    precision, scale = value.type.params
    if node.name == "abs":
        return Typed(f"abs({value.sql})", value.type)
    if node.name == "sign":
        return Typed(f"CAST(sign({value.sql}) AS DECIMAL(1,0))", t.decimal(1, 0))
    function = "ceil" if node.name == "ceiling" else node.name
    if len(args) == 2:
        return _round_to_digits(c, node, args)
    whole = t.decimal(max(precision - scale + min(scale, 1), 1), 0)
    if function == "truncate":
        whole = t.decimal(max(precision - scale, 1), 0)
        function = "trunc"
    return Typed(f"CAST({function}({value.sql}) AS {types.duckdb_name(whole)})", whole)


_DECIMALS = {
    name: t.decimal(digits, 0)
    for name, digits in (("tinyint", 3), ("smallint", 5), ("integer", 10), ("bigint", 19))
}
"""What whole numbers are cut as."""
_MAX_TENS = -18
"""Digits to round to that Trino has a power of ten for."""


def _round_integer(c: DuckDBCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    """To tens, hundreds, … for a negative number of digits, half away from zero."""
    value, digits = args
    if not isinstance(digits.constant, int):
        digits = c.as_type(node, digits, t.INTEGER)
        return c.once_each([value, digits], lambda v: _round_to_some(c, v[0], v[1]))
    if digits.constant >= 0:
        return value
    if digits.constant < _MAX_TENS:
        return c.fails("numerical overflow", value.type, [value])
    unit = 10**-digits.constant
    wide = f"CAST({value.sql} AS HUGEINT)"
    half = f"CASE WHEN {value.sql} < 0 THEN -{unit // 2} ELSE {unit // 2} END"
    rounded = f"(({wide} + {half}) // {unit} * {unit})"
    return Typed(f"CAST({rounded} AS {c.type_name(value.type)})", value.type)


def _round_to_some(c: DuckDBCompiler, value: Typed, digits: Typed) -> Typed:
    """The same to a number of digits that is known of each row alone."""
    wide, count = f"CAST({value.sql} AS HUGEINT)", f"least(greatest(-{digits.sql}, 0), 18)"
    unit = f"CAST('1' || repeat('0', {count}) AS HUGEINT)"
    rounded = f"(({wide} + sign({wide}) * ({unit} // 2)) // {unit} * {unit})"
    sql = (
        f"(CASE WHEN {value.sql} IS NULL OR {digits.sql} >= 0 THEN {c.exact(value)} "
        f"WHEN {digits.sql} < {_MAX_TENS} THEN {c.failing('numerical overflow')} "
        f"WHEN {digits.sql} IS NOT NULL THEN CAST({rounded} AS {c.type_name(value.type)}) END)"
    )
    return Typed(f"CAST({sql} AS {c.type_name(value.type)})", value.type)


def _cut(value: Typed, digits: int) -> Typed:
    """A decimal cut to so many digits; its type stays."""
    scale = value.type.params[1]
    if digits >= scale:
        return value
    unit = 10 ** min(scale - digits, 38)
    sql = f"({unscaled(value)} // {unit} * {unit})"
    return Typed(scaled(sql, value.type), value.type)


def _round_to_digits(c: DuckDBCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    value, digits = args
    if node.name == "truncate" and isinstance(digits.constant, int):
        return _cut(value, digits.constant)
    if node.name != "round" or not isinstance(digits.constant, int):
        c.refuse(f"{node.name} of a decimal to such a number of digits", node.at)
    precision, scale = value.type.params
    kind = t.decimal(precision + 1, scale)
    if digits.constant >= scale:
        return Typed(f"CAST({value.sql} AS {types.duckdb_name(kind)})", kind)
    if digits.constant < 0:
        unit = 10 ** min(scale - digits.constant, 38)
        whole = unscaled(value)
        half = f"CASE WHEN {value.sql} < 0 THEN -{unit // 2} ELSE {unit // 2} END"
        return Typed(scaled(f"(({whole} + {half}) // {unit} * {unit})", kind), kind)
    return Typed(f"CAST(round({value.sql}, {digits.constant}) AS {types.duckdb_name(kind)})", kind)


_LOWEST = "(-9223372036854775808)"


def _digits_of_absolute(number: str, radix: str) -> str:
    """DuckDB's `to_base` takes no more than 63 bits, and the lowest number has 64 without its sign:
    its last digit is made by itself."""

    def digits(whole: str) -> str:
        return f"lower(to_base(CAST({whole} AS BIGINT), CAST({radix} AS INTEGER)))"

    parts = (f"({_LOWEST}::HUGEINT * -1) {op} {radix}" for op in ("//", "%"))
    lowest = " || ".join(digits(part) for part in parts)
    return f"CASE WHEN {number} = {_LOWEST} THEN {lowest} ELSE {digits(f'abs({number})')} END"


@special("to_base")
def _to_base(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, base = c.args(node, 2)
    number, radix = (exact(c.as_type(node, one, t.BIGINT)) for one in (value, base))
    sign = f"CASE WHEN {number} < 0 THEN '-' ELSE '' END"
    digits = f"({sign} || {_digits_of_absolute(number, radix)})"
    if isinstance(base.constant, int) and 2 <= base.constant <= 36:
        return Typed(digits, t.VARCHAR)
    wrong = c.failing("Radix must be between 2 and 36")
    sql = f"CASE WHEN {number} IS NOT NULL AND {radix} NOT BETWEEN 2 AND 36 THEN {wrong}"
    return Typed(f"({sql} ELSE {digits} END)", t.VARCHAR)
