"""Scalar functions that look at their arguments: choices, numbers, strings, patterns."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.comparisons import orderable
from queryrun.sql.compile.pattern_texts import group_may_be_absent, may_match_nothing
from queryrun.sql.compile.shared_functions import plain_texts
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import decimals, formats
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.casts import rounded_double
from queryrun.sql.spark.comparisons import ordered
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.types import spark_name, text
from queryrun.sql.trino.records import ast


@special("array_join")
def _array_join(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if args[0].type.name == "array":
        args[0] = plain_texts(c, args[0]) or c.refuse(f"array_join of {args[0].type}", node.at)
    return c.plain(node, args)


# --- choices --------------------------------------------------------------------------------


@special("try")
def _try(c: SparkCompiler, node: ast.Call) -> Typed:
    """What may fail in there is written so that it gives NULL."""
    before, c.in_try, c.try_at = c.in_try, True, node.at
    excused = c.excused
    try:
        (value,) = c.args(node, 1)
    finally:
        c.in_try = before
    c.excused = excused
    return value


@special("greatest", "least")
def _extremes(c: SparkCompiler, node: ast.Call) -> Typed:
    """NULL when any argument is; Spark passes nulls over."""
    values = c.args(node, 1, 127)
    kind = c.unified(values, node.at, node.name)
    items = [c.cast_to(value, kind) for value in values]
    if kind.parts:
        return _extreme_nested(c, node, items, kind)
    exact = [c.exact(item) for item in items]
    if len(exact) == 1:
        return Typed(exact[0], kind)
    missing = " OR ".join(f"{item} IS NULL" for item in exact)
    found = f"{node.name}({', '.join(exact)})"
    if t.is_floating(kind) and node.name == "greatest":  # NaN only where there is nothing else
        numbers = ", ".join(f"CASE WHEN NOT isnan({item}) THEN {item} END" for item in exact)
        found = f"coalesce(greatest({numbers}), {found})"
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {found} END)", kind)


def _extreme_nested(c: SparkCompiler, node: ast.Call, values: list[Typed], kind: t.Type) -> Typed:
    if not orderable(kind):
        c.mismatch(f"Type {kind} is not orderable", node.at)
    if len(values) == 1:
        return values[0]
    items = ", ".join(ordered(c, value, node.at) for value in values)
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {node.name}({items}) END)", kind)


# --- numbers --------------------------------------------------------------------------------


@special("abs", "sign", "ceil", "ceiling", "floor", "round", "truncate")
def _rounding(c: SparkCompiler, node: ast.Call) -> Typed:
    """Decimals stay decimals, of a precision by Trino's rules; the rest is in the table."""
    args = c.args(node, 1, 2)
    if args[0].type.name == "decimal":
        return _round_decimal(c, node, args)
    if node.name == "round" and args[0].type == t.DOUBLE:
        return _round_double(c, node, args)
    if node.name == "round" and args[0].type == t.REAL:  # in doubles as well
        wide = Typed(f"CAST({args[0].sql} AS DOUBLE)", t.DOUBLE)
        found = _round_double(c, node, [wide, *args[1:]])
        return Typed(f"CAST({found.sql} AS FLOAT)", t.REAL)
    if args[0].type == t.REAL and node.name in {"truncate", "sign"}:
        c.refuse(f"{node.name} of real", node.at)
    if node.name == "round" and len(args) == 2 and t.is_integer(args[0].type):
        return _round_integer(c, node, args)
    if len(args) == 2:
        c.refuse(f"{node.name} of {args[0].type} to a number of digits", node.at)
    return c.plain(node, args)


def _round_integer(c: SparkCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    value, digits = args
    if not isinstance(digits.constant, int) or digits.constant < -18:
        c.refuse("round to such a number of digits", node.at)
    if digits.constant >= 0:
        return value
    rounded = f"round(CAST({value.sql} AS DECIMAL(20,0)), {digits.constant})"
    return Typed(f"CAST({rounded} AS {spark_name(value.type)})", value.type)


def _round_double(c: SparkCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    """As Trino computes it, in doubles: 1.005 to two digits is 1.0."""
    value, digits = args[0], args[1] if len(args) == 2 else Typed("0", t.INTEGER, 0)
    if not isinstance(digits.constant, int) or not 0 <= digits.constant <= 15:
        c.refuse("round to such a number of digits", node.at)
    factor = f"{10**digits.constant}D"

    def near(x: str) -> str:
        few = f"abs({x}) * {factor} < 9.2E18"  # no digit to round beyond; nor in NaN and infinity
        whole = rounded_double(f"({x} * {factor})")
        return f"(CASE WHEN {few} THEN {whole} / {factor} ELSE {x} END)"

    sql = bound(value.sql, near)
    return Typed(sql, t.DOUBLE)


def _round_decimal(c: SparkCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    value = args[0]
    precision, scale = value.type.params
    if node.name == "abs":
        return Typed(decimals.absolute(value), value.type)
    if node.name == "sign":
        return Typed(f"CAST(sign({value.sql}) AS DECIMAL(1,0))", t.decimal(1, 0))
    if len(args) == 2:
        return _round_to_digits(c, node, args)
    whole = t.decimal(max(precision - scale + min(scale, 1), 1), 0)
    sql = {
        "ceil": f"ceil({value.sql})",
        "ceiling": f"ceil({value.sql})",
        "floor": f"floor({value.sql})",
        "round": f"round({value.sql}, 0)",
    }.get(node.name)
    if sql is None:
        whole = t.decimal(max(precision - scale, 1), 0)
        sql = f"(sign({value.sql}) * floor(abs({value.sql})))"
        if precision > 37:
            c.refuse(f"truncate of {value.type}", node.at)
        sql = f"CASE WHEN {value.sql} < 0 THEN ceil({value.sql}) ELSE floor({value.sql}) END"
    return Typed(f"CAST({sql} AS {spark_name(whole)})", whole)


def _round_to_digits(c: SparkCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    value, digits = args
    if node.name not in {"round", "truncate"} or not isinstance(digits.constant, int):
        c.refuse(f"{node.name} of a decimal to such a number of digits", node.at)
    precision, scale = value.type.params
    if node.name == "truncate":
        return _cut(value, digits.constant)
    kind = t.decimal(precision + 1, scale)
    if digits.constant < scale - precision:
        return Typed(f"CAST({value.sql} * 0 AS {spark_name(kind)})", kind)
    sql = value.sql if digits.constant >= scale else f"round({value.sql}, {digits.constant})"
    return Typed(f"CAST({sql} AS {spark_name(kind)})", kind)


def _cut(value: Typed, digits: int) -> Typed:
    """Towards zero: a remainder has the sign of what is divided."""
    precision, scale = value.type.params
    if digits >= scale:
        return value
    if digits <= scale - precision:
        return Typed(f"CAST({value.sql} * 0 AS {spark_name(value.type)})", value.type)
    unit = f"1E{-digits}BD" if digits <= 0 else f"0.{'0' * (digits - 1)}1BD"
    cut = bound(value.sql, lambda v: f"({v} - {v} % CAST({unit} AS {spark_name(value.type)}))")
    return Typed(f"CAST({cut} AS {spark_name(value.type)})", value.type)


@special("to_base")
def _to_base(c: SparkCompiler, node: ast.Call) -> Typed:
    value, base = c.args(node, 2)
    if not isinstance(base.constant, int) or not 2 <= base.constant <= 36:
        c.refuse("to_base with such a base", node.at)
    number = c.exact(c.as_type(node, value, t.BIGINT))
    sign = f"CASE WHEN {number} < 0 THEN '-' ELSE '' END"
    digits = f"lower(conv(CAST(abs({number}) AS STRING), 10, {base.constant}))"
    return Typed(f"({sign} || {digits})", t.VARCHAR)


# --- strings --------------------------------------------------------------------------------


@special("concat_ws")
def _concat_ws(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 127)
    if len(args) == 2 and args[1].type.name == "array":
        args = [args[0], c.as_type(node, args[1], t.array(t.VARCHAR))]
        values = [c.as_type(node, args[0], t.VARCHAR).sql, args[1].sql]
        joined = f"concat_ws({', '.join(values)})"
        return Typed(f"if({values[1]} IS NOT NULL, {joined}, NULL)", t.VARCHAR)
    values = [c.as_type(node, value, t.VARCHAR).sql for value in args]
    return Typed(f"concat_ws({', '.join(values)})", t.VARCHAR)


@special("substring", "substr")
def _substring(c: SparkCompiler, node: ast.Call) -> Typed:
    """Counts from the end for a negative start; empty for a start outside of the string."""
    args = c.args(node, 2, 3)
    kind, nothing = (t.VARBINARY, "X''") if args[0].type == t.VARBINARY else (t.VARCHAR, "''")
    string = c.as_type(node, args[0], kind).sql
    start = c.as_type(node, args[1], t.BIGINT)
    begin, length = f"CAST({start.sql} AS INT)", ""
    if len(args) == 3:
        count = c.as_type(node, args[2], t.BIGINT)
        length = f", CAST(greatest({count.sql}, 0) AS INT)"
        if isinstance(count.constant, int):
            length = f", {max(count.constant, 0)}"
        elif not c.in_try:
            length = f", CAST(if({count.sql} < 0, 0, {count.sql}) AS INT)"
    if isinstance(start.constant, int) and start.constant > 0:
        return Typed(f"substring({string}, {start.constant}{length})", kind)
    outside = f"{string} IS NOT NULL AND ({begin} = 0 OR -{begin} > length({string}))"
    return Typed(
        f"(CASE WHEN {outside} THEN {nothing} ELSE substring({string}, {begin}{length}) END)", kind
    )


@special("split")
def _split(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if len(args) == 2 and isinstance(args[1].constant, str) and args[1].constant:
        quoted = text(re.escape(args[1].constant))
        subject = c.as_type(node, args[0], t.VARCHAR).sql
        return Typed(f"split({subject}, {quoted}, -1)", t.array(t.VARCHAR))
    if args[1].constant == "":
        c.refuse("split at an empty string", node.at)
    return c.plain(node, args)


@special("split_part")
def _split_part(c: SparkCompiler, node: ast.Call) -> Typed:
    """NULL beyond the last part."""
    string, delimiter, index = c.args(node, 3)
    if isinstance(index.constant, int) and index.constant <= 0:
        c.invalid("Index must be greater than zero", node.at)
    if not isinstance(delimiter.constant, str) or not delimiter.constant:
        c.refuse("split_part at a string that is no literal", node.at)
    c.as_type(node, string, t.VARCHAR)
    parts = f"split({string.sql}, {text(re.escape(delimiter.constant))}, -1)"
    i = c.as_type(node, index, t.BIGINT).sql
    found = f"try_element_at({parts}, CAST({i} AS INT))"
    if isinstance(index.constant, int):
        return Typed(found, t.VARCHAR)
    failing = c.failing("Index must be greater than zero")
    return Typed(f"(CASE WHEN {i} <= 0 THEN {failing} ELSE {found} END)", t.VARCHAR)


@special("chr")
def _chr(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    number = c.as_type(node, value, t.BIGINT)
    if isinstance(number.constant, int) and 0 < number.constant < 0xD800:
        return Typed(text(chr(number.constant)), t.VARCHAR)
    sql = f"decode(unhex(lpad(hex({number.sql}), 8, '0')), 'UTF-32')"
    failing = c.failing("Not a valid Unicode code point")
    fits = f"{number.sql} BETWEEN 0 AND 55295 OR {number.sql} BETWEEN 57344 AND 1114111"
    return Typed(
        f"(CASE WHEN {fits} THEN {sql} WHEN {number.sql} IS NOT NULL THEN {failing} END)",
        t.VARCHAR,
    )


@special("codepoint")
def _codepoint(c: SparkCompiler, node: ast.Call) -> Typed:
    """Takes a varchar(1) and nothing longer."""
    (value,) = c.args(node, 1)
    arg = node.args[0]
    is_cast = isinstance(arg, ast.Cast) and arg.type.arguments == [1]
    if value.type != t.VARCHAR or not (is_cast or len(str(value.constant)) == 1):
        c.wrong_arguments(node, [value])
    return Typed(f"ascii({value.sql})", t.INTEGER)


# --- regular expressions --------------------------------------------------------------------


def subject_and_pattern(c: SparkCompiler, node: ast.Call, args: list[Typed]) -> tuple[str, str]:
    """Only literal patterns: they have to be looked at."""
    pattern = formats.regex(c.constant_text(node, args[1], "a pattern"))
    return c.as_type(node, args[0], t.VARCHAR).sql, text(pattern)


@special("regexp_like")
def _regexp_like(c: SparkCompiler, node: ast.Call) -> Typed:
    subject, pattern = subject_and_pattern(c, node, c.args(node, 2))
    return Typed(f"({subject} RLIKE {pattern})", t.BOOLEAN)


def _group(c: SparkCompiler, node: ast.Call, args: list[Typed]) -> int:
    if len(args) < 3:
        return 0
    if not isinstance(args[2].constant, int):
        c.refuse(f"{node.name} with a group that is no literal", node.at)
    if args[2].constant and group_may_be_absent(str(args[1].constant)):
        c.refuse(f"{node.name} of a group that may match nothing", node.at)
    return args[2].constant


@special("regexp_extract")
def _regexp_extract(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    subject, pattern = subject_and_pattern(c, node, args)
    extracted = f"regexp_extract({subject}, {pattern}, {_group(c, node, args)})"
    return Typed(f"(CASE WHEN {subject} RLIKE {pattern} THEN {extracted} END)", t.VARCHAR)


@special("regexp_extract_all")
def _regexp_extract_all(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    subject, pattern = subject_and_pattern(c, node, args)
    group = _group(c, node, args)
    return Typed(f"regexp_extract_all({subject}, {pattern}, {group})", t.array(t.VARCHAR))


@special("regexp_count")
def _regexp_count(c: SparkCompiler, node: ast.Call) -> Typed:
    subject, pattern = subject_and_pattern(c, node, c.args(node, 2))
    return Typed(f"CAST(regexp_count({subject}, {pattern}) AS BIGINT)", t.BIGINT)


@special("regexp_split")
def _regexp_split(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2)
    if may_match_nothing(str(args[1].constant)):
        c.refuse("regexp_split with a pattern that may match nothing", node.at)
    subject, pattern = subject_and_pattern(c, node, args)
    return Typed(f"split({subject}, {pattern}, -1)", t.array(t.VARCHAR))
