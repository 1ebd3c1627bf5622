"""Scalar functions that look at their arguments: choices, numbers, strings, patterns, JSON."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re

from queryrun.sql.trino import ast, formats
from queryrun.sql.trino import types as t
from queryrun.sql.trino.compile_calls import CallCompiler, special
from queryrun.sql.trino.typed import Typed, cast, exact, text
from queryrun.sql.trino.types import Type

# --- choices --------------------------------------------------------------------------------


@special("if")
def _if(c: CallCompiler, node: ast.Call) -> Typed:
    if not 2 <= len(node.args) <= 3:
        c.wrong_arguments(node, [])
    otherwise = node.args[2] if len(node.args) == 3 else None
    return c.expr(ast.Case(None, [(node.args[0], node.args[1])], otherwise, node.at))


@special("coalesce")
def _coalesce(c: CallCompiler, node: ast.Call) -> Typed:
    values = c.args(node, 2, 1_000)
    kind = c.unified(values, node.at, "coalesce")
    return Typed(f"coalesce({', '.join(exact(cast(v, kind)) for v in values)})", kind)


@special("nullif")
def _nullif(c: CallCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    equal = c.compare("=", left, right, node.at)
    return Typed(f"(CASE WHEN {equal} THEN NULL ELSE {exact(left)} END)", left.type)


@special("try")
def _try(c: CallCompiler, node: ast.Call) -> Typed:
    before, c.in_try = c.in_try, True
    try:
        (value,) = c.args(node, 1)
    finally:
        c.in_try = before
    return Typed(f"TRY({exact(value)})", value.type)


@special("greatest", "least")
def _extremes(c: CallCompiler, node: ast.Call) -> Typed:
    """NULL when any argument is; DuckDB passes nulls over."""
    values = c.args(node, 1, 127)
    kind = c.unified(values, node.at, node.name)
    if t.is_floating(kind):
        c.refuse(f"{node.name} of {kind}", node.at)
    items = [exact(cast(value, kind)) for value in values]
    missing = " OR ".join(f"{item} IS NULL" for item in items)
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {node.name}({', '.join(items)}) END)", kind)


# --- numbers --------------------------------------------------------------------------------


@special("mod")
def _mod(c: CallCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    return c.operate("%", left, right, node.at)


@special("abs", "sign", "ceil", "ceiling", "floor", "round", "truncate")
def _rounding(c: CallCompiler, node: ast.Call) -> Typed:
    """Decimals stay decimals, of a precision by Trino's rules; the rest is in the table."""
    args = c.args(node, 1, 2)
    if args[0].type.name == "decimal":
        return _round_decimal(c, node, args)
    if len(args) == 2 and t.is_integer(args[0].type):
        c.refuse(f"{node.name} of whole numbers to a number of digits", node.at)
    return c.plain(node, args)


def _round_decimal(c: CallCompiler, node: ast.Call, args: list[Typed]) -> Typed:
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
    return Typed(f"CAST({function}({value.sql}) AS {t.duckdb_name(whole)})", whole)


def _round_to_digits(c: CallCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    value, digits = args
    if node.name != "round" or not isinstance(digits.constant, int) or digits.constant < 0:
        c.refuse(f"{node.name} of a decimal to such a number of digits", node.at)
    precision, scale = value.type.params
    kind = t.decimal(precision + 1, scale)
    if digits.constant >= scale:
        return Typed(f"CAST({value.sql} AS {t.duckdb_name(kind)})", kind)
    return Typed(f"CAST(round({value.sql}, {digits.constant}) AS {t.duckdb_name(kind)})", kind)


@special("to_base")
def _to_base(c: CallCompiler, node: ast.Call) -> Typed:
    value, base = c.args(node, 2)
    if not isinstance(base.constant, int) or not 2 <= base.constant <= 36:
        c.refuse("to_base with such a base", node.at)
    number = exact(c.as_type(node, value, t.BIGINT))
    sign = f"CASE WHEN {number} < 0 THEN '-' ELSE '' END"
    return Typed(f"({sign} || lower(to_base(abs({number}), {base.constant})))", t.VARCHAR)


# --- strings --------------------------------------------------------------------------------


@special("concat")
def _concat(c: CallCompiler, node: ast.Call) -> Typed:
    values = c.args(node, 2, 127)
    found = values[0]
    for value in values[1:]:
        found = c.operate("||", found, value, node.at)
    return found


@special("concat_ws")
def _concat_ws(c: CallCompiler, node: ast.Call) -> Typed:
    values = [c.as_type(node, value, t.VARCHAR).sql for value in c.args(node, 2, 127)]
    return Typed(f"concat_ws({', '.join(values)})", t.VARCHAR)


@special("substring", "substr")
def _substring(c: CallCompiler, node: ast.Call) -> Typed:
    """Counts from the end for a negative start; empty for a start outside of the string."""
    args = c.args(node, 2, 3)
    string = c.as_type(node, args[0], t.VARCHAR).sql
    start = c.as_type(node, args[1], t.BIGINT)
    length = ""
    if len(args) == 3:
        count = c.as_type(node, args[2], t.BIGINT)
        length = f", CASE WHEN {count.sql} < 0 THEN 0 ELSE {count.sql} END"
        if isinstance(count.constant, int):
            length = f", {max(count.constant, 0)}"
    if isinstance(start.constant, int) and start.constant > 0:
        return Typed(f"substring({string}, {start.sql}{length})", t.VARCHAR)
    begin = (
        f"CASE WHEN {start.sql} > 0 THEN {start.sql} ELSE length({string}) + {start.sql} + 1 END"
    )
    outside = f"{string} IS NOT NULL AND ({start.sql} = 0 OR -{start.sql} > length({string}))"
    return Typed(
        f"(CASE WHEN {outside} THEN '' ELSE substring({string}, {begin}{length}) END)", t.VARCHAR
    )


@special("replace")
def _replace(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if len(args) == 2:
        return c.plain(node, args)
    if args[1].constant == "":
        c.refuse("replace of an empty string", node.at)
    values = [c.as_type(node, value, t.VARCHAR).sql for value in args]
    return Typed(f"replace({', '.join(values)})", t.VARCHAR)


@special("codepoint")
def _codepoint(c: CallCompiler, node: ast.Call) -> Typed:
    """Takes a varchar(1) and nothing longer."""
    (value,) = c.args(node, 1)
    arg = node.args[0]
    is_cast = isinstance(arg, ast.Cast) and arg.type.arguments == [1]
    if value.type != t.VARCHAR or not (is_cast or len(str(value.constant)) == 1):
        c.wrong_arguments(node, [value])
    return Typed(f"unicode({value.sql})", t.INTEGER)


@special("from_iso8601_date")
def _from_iso8601_date(c: CallCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if isinstance(value.constant, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value.constant):
        c.refuse("from_iso8601_date of anything but YYYY-MM-DD", node.at)
    return c.plain(node, [value])


@special("split_part")
def _split_part(c: CallCompiler, node: ast.Call) -> Typed:
    """NULL beyond the last part."""
    string, delimiter, index = c.args(node, 3)
    if isinstance(index.constant, int) and index.constant <= 0:
        c.invalid("Index must be greater than zero", node.at)
    parts = f"string_split({string.sql}, {c.as_type(node, delimiter, t.VARCHAR).sql})"
    i = c.as_type(node, index, t.BIGINT).sql
    c.as_type(node, string, t.VARCHAR)
    if isinstance(index.constant, int):
        return Typed(f"({parts})[{i}]", t.VARCHAR)
    failing = c.failing("Index must be greater than zero")
    return Typed(f"(CASE WHEN {i} <= 0 THEN {failing} ELSE ({parts})[{i}] END)", t.VARCHAR)


@special("normalize")
def _normalize(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    if len(args) == 2 and args[1].constant != "NFC":
        c.refuse(f"normalize to {args[1].constant}", node.at)
    return Typed(f"nfc_normalize({c.as_type(node, args[0], t.VARCHAR).sql})", t.VARCHAR)


# --- regular expressions --------------------------------------------------------------------


def _pattern(c: CallCompiler, node: ast.Call, value: Typed) -> str:
    """Only literals: what a pattern means in RE2 has to be looked at."""
    return formats.regex(c.constant_text(node, value, "a pattern"))


@special("regexp_like")
def _regexp_like(c: CallCompiler, node: ast.Call) -> Typed:
    string, pattern = c.args(node, 2)
    subject = c.as_type(node, string, t.VARCHAR).sql
    return Typed(f"regexp_matches({subject}, {text(_pattern(c, node, pattern))})", t.BOOLEAN)


def _group(c: CallCompiler, node: ast.Call, args: list[Typed]) -> int:
    if len(args) < 3:
        return 0
    if not isinstance(args[2].constant, int):
        c.refuse(f"{node.name} with a group that is no literal", node.at)
    if args[2].constant and formats.group_may_be_absent(str(args[1].constant)):
        c.refuse(f"{node.name} of a group that may match nothing", node.at)
    return args[2].constant


@special("regexp_extract")
def _regexp_extract(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    subject, pattern = c.as_type(node, args[0], t.VARCHAR).sql, text(_pattern(c, node, args[1]))
    group = _group(c, node, args)
    extracted = f"regexp_extract({subject}, {pattern}, {group})"
    return Typed(
        f"(CASE WHEN regexp_matches({subject}, {pattern}) THEN {extracted} END)", t.VARCHAR
    )


@special("regexp_extract_all")
def _regexp_extract_all(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    subject, pattern = c.as_type(node, args[0], t.VARCHAR).sql, text(_pattern(c, node, args[1]))
    group = _group(c, node, args)
    return Typed(f"regexp_extract_all({subject}, {pattern}, {group})", t.array(t.VARCHAR))


@special("regexp_count")
def _regexp_count(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2)
    subject, pattern = c.as_type(node, args[0], t.VARCHAR).sql, text(_pattern(c, node, args[1]))
    return Typed(f"len(regexp_extract_all({subject}, {pattern}, 0))", t.BIGINT)


@special("regexp_replace")
def _regexp_replace(c: CallCompiler, node: ast.Call) -> Typed:
    if len(node.args) == 3 and isinstance(node.args[2], ast.Lambda):
        c.refuse("regexp_replace with a lambda", node.at)
    args = c.args(node, 2, 3)
    subject, pattern = c.as_type(node, args[0], t.VARCHAR).sql, text(_pattern(c, node, args[1]))
    new = formats.replacement(c.constant_text(node, args[2], "a replacement")) if args[2:] else ""
    return Typed(f"regexp_replace({subject}, {pattern}, {text(new)}, 'g')", t.VARCHAR)


@special("regexp_split")
def _regexp_split(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2)
    subject, pattern = c.as_type(node, args[0], t.VARCHAR).sql, text(_pattern(c, node, args[1]))
    return Typed(f"string_split_regex({subject}, {pattern})", t.array(t.VARCHAR))


# --- JSON -----------------------------------------------------------------------------------


def _json_and_path(c: CallCompiler, node: ast.Call) -> tuple[str, str, str]:
    """The document, the path, and a condition for documents that are JSON at all."""
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, path])
    where = text(formats.json_path(c.constant_text(node, path, "a path")))
    valid = f"json_valid({value.sql})" if value.type == t.VARCHAR else "true"
    return value.sql, where, valid


@special("json_extract")
def _json_extract(c: CallCompiler, node: ast.Call) -> Typed:
    value, path, valid = _json_and_path(c, node)
    sql = f"(CASE WHEN {valid} THEN json_extract({value}, {path}) END)"
    return Typed(sql, t.JSON)


_FRACTION = (
    "json_extract_scalar of a number with a fraction is not supported but in a cast to a number"
)


@special("json_extract_scalar")
def _json_extract_scalar(c: CallCompiler, node: ast.Call) -> Typed:
    value, path, valid = _json_and_path(c, node)
    nested = f"json_type({value}, {path}) IN ('OBJECT', 'ARRAY')"
    fraction = ""
    if not c.in_number_cast:  # DuckDB reads 1.50 and 1e2 as numbers and writes them its own way
        failing = c.failing(_FRACTION)
        fraction = f"WHEN json_type({value}, {path}) = 'DOUBLE' THEN {failing} "
    text_of = f"json_extract_string({value}, {path})"
    scalar = f"CASE WHEN {nested} THEN NULL {fraction}ELSE {text_of} END"
    return Typed(f"(CASE WHEN {valid} THEN {scalar} END)", t.VARCHAR)


@special("json_size")
def _json_size(c: CallCompiler, node: ast.Call) -> Typed:
    value, path, valid = _json_and_path(c, node)
    kind = f"json_type({value}, {path})"
    sql = (
        f"(CASE WHEN NOT {valid} THEN NULL "
        f"WHEN {kind} = 'ARRAY' THEN CAST(json_array_length({value}, {path}) AS BIGINT) "
        f"WHEN {kind} = 'OBJECT' THEN len(json_keys({value}, {path})) "
        f"WHEN {kind} IS NOT NULL THEN 0 END)"
    )
    return Typed(sql, t.BIGINT)


# --- arrays and maps ------------------------------------------------------------------------


@special("element_at")
def _element_at(c: CallCompiler, node: ast.Call) -> Typed:
    base, key = c.args(node, 2)
    if base.type.name == "map":
        found = c.as_type(node, key, base.type.parts[0]).sql
        return Typed(f"map_extract_value({base.sql}, {found})", base.type.parts[1])
    if base.type.name != "array" or not t.is_integer(key.type):
        c.wrong_arguments(node, [base, key])
    failing = c.failing("SQL array indices start at 1")
    unfit = f"{key.sql} = 0 AND {base.sql} IS NOT NULL"
    sql = f"(CASE WHEN {unfit} THEN {failing} ELSE ({base.sql})[{key.sql}] END)"
    return Typed(sql, base.type.parts[0])


@special("array_sort")
def _array_sort(c: CallCompiler, node: ast.Call) -> Typed:
    if len(node.args) == 2:
        c.refuse("array_sort with a comparison of one's own", node.at)
    return c.plain(node, c.args(node, 1))


@special("array_union", "array_intersect", "array_except")
def _array_sets(c: CallCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    kind = t.common(left.type, right.type)
    if kind is None or kind.name != "array":
        c.wrong_arguments(node, [left, right])
    a, b = cast(left, kind), cast(right, kind)
    if node.name == "array_union":
        return c.plain(ast.Call("array_distinct", [], node.at), [c.operate("||", a, b, node.at)])
    has_null = f"len(list_filter({b.sql}, lambda other: other IS NULL)) > 0"
    there = f"CASE WHEN item IS NULL THEN {has_null} ELSE list_contains({b.sql}, item) END"
    test = there if node.name == "array_intersect" else f"NOT ({there})"
    kept = f"list_filter({a.sql}, lambda item: {test})"
    missing = f"{a.sql} IS NULL OR {b.sql} IS NULL"
    kept = f"(CASE WHEN {missing} THEN NULL ELSE {kept} END)"
    return c.plain(ast.Call("array_distinct", [], node.at), [Typed(kept, kind)])


@special("array_join")
def _array_join(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if args[0].type.name == "array" and args[0].type.parts[0].name != "varchar":
        element = args[0].type.parts[0]
        if not (t.is_integer(element) or element.name in {"decimal", "boolean", "unknown"}):
            c.refuse(f"array_join of {args[0].type}", node.at)
        args[0] = Typed(f"CAST({args[0].sql} AS VARCHAR[])", t.array(t.VARCHAR))
    return c.plain(node, args)


@special("sequence")
def _sequence(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    first, last = args[0], args[1]
    if t.is_integer(first.type) and t.is_integer(last.type):
        a, b = cast(first, t.BIGINT).sql, cast(last, t.BIGINT).sql
        default = f"CASE WHEN {a} <= {b} THEN 1 ELSE -1 END"
        step = c.as_type(node, args[2], t.BIGINT).sql if len(args) == 3 else default
        return Typed(f"generate_series({a}, {b}, {step})", t.array(t.BIGINT))
    if first.type == last.type == t.DATE:
        step = args[2].sql if len(args) == 3 else "to_days(1)"
        ends = f"CAST({first.sql} AS TIMESTAMP), CAST({last.sql} AS TIMESTAMP)"
        series = f"generate_series({ends}, {step})"
        return Typed(f"CAST({series} AS DATE[])", t.array(t.DATE))
    if first.type.name == last.type.name == "timestamp" and len(args) == 3:
        kind = t.common(first.type, last.type) or first.type
        return Typed(f"generate_series({first.sql}, {last.sql}, {args[2].sql})", t.array(kind))
    c.wrong_arguments(node, args)


@special("zip")
def _zip(c: CallCompiler, node: ast.Call) -> Typed:
    arrays = c.args(node, 2, 5)
    if any(value.type.name != "array" for value in arrays):
        c.wrong_arguments(node, arrays)
    kinds = [value.type.parts[0] for value in arrays]
    zipped = f"list_zip({', '.join(value.sql for value in arrays)})"
    items = ", ".join(f"pair[{number + 1}]" for number in range(len(arrays)))
    missing = " OR ".join(f"{value.sql} IS NULL" for value in arrays)
    sql = f"list_transform({zipped}, lambda pair: row({items}))"
    kind = t.array(t.row(kinds, [""] * len(kinds)))
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {sql} END)", kind)


@special("cardinality")
def _cardinality(c: CallCompiler, node: ast.Call) -> Typed:
    return c.plain(node, c.args(node, 1))


@special("map")
def _map(c: CallCompiler, node: ast.Call) -> Typed:
    if not node.args:
        return Typed("CAST(map([], []) AS MAP(INTEGER, INTEGER))", t.map_of(t.UNKNOWN, t.UNKNOWN))
    return c.plain(node, c.args(node, 2))


# --- functions that take a lambda -----------------------------------------------------------


def _array_arg(c: CallCompiler, node: ast.Call, count: int) -> Typed:
    if len(node.args) != count:
        c.wrong_arguments(node, [])
    value = c.expr(node.args[0])
    if value.type.name != "array":
        c.wrong_arguments(node, [value])
    return value


def _over_items(c: CallCompiler, node: ast.Call, value: Typed, arg: ast.Expr) -> tuple[str, Typed]:
    param = c.fresh("p")
    return param, c.lambda_of(node, arg, [Typed(param, value.type.parts[0])])


def _test_over_items(c: CallCompiler, node: ast.Call, value: Typed) -> tuple[str, str]:
    param, body = _over_items(c, node, value, node.args[1])
    if body.type not in {t.BOOLEAN, t.UNKNOWN}:
        c.mismatch(f"The lambda of {node.name} must return a boolean", node.at)
    return param, body.sql


@special("transform")
def _transform(c: CallCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 2)
    param, body = _over_items(c, node, value, node.args[1])
    return Typed(f"list_transform({value.sql}, lambda {param}: {exact(body)})", t.array(body.type))


@special("filter")
def _filter(c: CallCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 2)
    param, test = _test_over_items(c, node, value)
    return Typed(f"list_filter({value.sql}, lambda {param}: {test})", value.type)


@special("any_match", "all_match", "none_match")
def _match(c: CallCompiler, node: ast.Call) -> Typed:
    """With SQL's three values: unknown tests leave the answer open."""
    value = _array_arg(c, node, 2)
    param, test = _test_over_items(c, node, value)
    tests = f"list_transform({value.sql}, lambda {param}: {test})"
    decisive = "false" if node.name == "all_match" else "true"
    found, otherwise = {
        "any_match": ("true", "false"),
        "all_match": ("false", "true"),
        "none_match": ("false", "true"),
    }[node.name]
    sql = (
        f"(CASE WHEN {value.sql} IS NULL THEN NULL "
        f"WHEN list_contains({tests}, {decisive}) THEN {found} "
        f"WHEN len(list_filter({tests}, lambda test: test IS NULL)) > 0 THEN NULL "
        f"ELSE {otherwise} END)"
    )
    return Typed(sql, t.BOOLEAN)


@special("reduce")
def _reduce(c: CallCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 4)
    start = c.expr(node.args[1])
    state, item = c.fresh("p"), c.fresh("p")
    step = c.lambda_of(
        node, node.args[2], [Typed(state, start.type), Typed(item, value.type.parts[0])]
    )
    if t.bare(step.type) != t.bare(start.type) and not t.can_become(start.type, step.type):
        c.mismatch("The lambda of reduce must return the type of its state", node.at)
    start = cast(start, step.type)
    sql = f"list_reduce({value.sql}, lambda {state}, {item}: {exact(step)}, {exact(start)})"
    return c.lambda_of(node, node.args[3], [Typed(sql, step.type)])


@special("zip_with")
def _zip_with(c: CallCompiler, node: ast.Call) -> Typed:
    left = _array_arg(c, node, 3)
    right = c.expr(node.args[1])
    if right.type.name != "array":
        c.wrong_arguments(node, [left, right])
    pair = c.fresh("p")
    params = [Typed(f"{pair}[1]", left.type.parts[0]), Typed(f"{pair}[2]", right.type.parts[0])]
    body = c.lambda_of(node, node.args[2], params)
    zipped = f"list_transform(list_zip({left.sql}, {right.sql}), lambda {pair}: {exact(body)})"
    missing = f"{left.sql} IS NULL OR {right.sql} IS NULL"
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {zipped} END)", t.array(body.type))


def _map_arg(c: CallCompiler, node: ast.Call) -> Typed:
    if len(node.args) != 2:
        c.wrong_arguments(node, [])
    value = c.expr(node.args[0])
    if value.type.name != "map":
        c.wrong_arguments(node, [value])
    return value


def _over_entries(c: CallCompiler, node: ast.Call, value: Typed) -> tuple[str, Typed]:
    pair = c.fresh("p")
    key, item = value.type.parts
    body = c.lambda_of(
        node, node.args[1], [Typed(f"{pair}.key", key), Typed(f"{pair}.value", item)]
    )
    return pair, body


def _as_map(entries: str, kind: Type) -> Typed:
    return Typed(f"map_from_entries({entries})", kind)


@special("map_filter")
def _map_filter(c: CallCompiler, node: ast.Call) -> Typed:
    value = _map_arg(c, node)
    pair, body = _over_entries(c, node, value)
    return _as_map(f"list_filter(map_entries({value.sql}), lambda {pair}: {body.sql})", value.type)


@special("transform_values")
def _transform_values(c: CallCompiler, node: ast.Call) -> Typed:
    value = _map_arg(c, node)
    pair, body = _over_entries(c, node, value)
    entry = f"{{'key': {pair}.key, 'value': {exact(body)}}}"
    entries = f"list_transform(map_entries({value.sql}), lambda {pair}: {entry})"
    return _as_map(entries, t.map_of(value.type.parts[0], body.type))


@special("transform_keys")
def _transform_keys(c: CallCompiler, node: ast.Call) -> Typed:
    value = _map_arg(c, node)
    pair, body = _over_entries(c, node, value)
    entry = f"{{'key': {exact(body)}, 'value': {pair}.value}}"
    entries = f"list_transform(map_entries({value.sql}), lambda {pair}: {entry})"
    return _as_map(entries, t.map_of(body.type, value.type.parts[1]))
