"""Regular expressions: natively where RE2 means the same, otherwise in the worker."""

from __future__ import annotations

from queryrun.sql.compile import pattern_texts
from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import formats
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import exact
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text


def _native(value: Typed) -> str | None:
    """The pattern as RE2 reads it; None where it is not known before, or means something else."""
    if not isinstance(value.constant, str):
        return None
    try:
        return formats.regex(value.constant)
    except pattern_texts.UntranslatableError:
        return None


def _texts(c: DuckDBCompiler, node: ast.Call, args: list[Typed]) -> list[Typed]:
    """The arguments, of which the first two are texts, with the spaces that a char has."""
    return [*(c.as_type(node, value, t.VARCHAR) for value in args[:2]), *args[2:]]


def _operands(args: list[Typed]) -> tuple[str, str]:
    return exact(args[0]), exact(args[1])


@special("regexp_like")
def _regexp_like(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = _texts(c, node, c.args(node, 2))
    subject, pattern = _operands(args)
    native = _native(args[1])
    if native is None or pattern_texts.is_broken(native):
        return Typed(f"qr_regexp_like({subject}, {pattern})", t.BOOLEAN)
    return Typed(f"regexp_matches({subject}, {text(native)})", t.BOOLEAN)


@special("regexp_count")
def _regexp_count(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = _texts(c, node, c.args(node, 2))
    subject, pattern = _operands(args)
    native = _native(args[1])
    if native is None or pattern_texts.may_match_nothing(native):
        return Typed(f"qr_regexp_count({subject}, {pattern})", t.BIGINT)
    return Typed(f"len(regexp_extract_all({subject}, {text(native)}, 0))", t.BIGINT)


@special("regexp_extract", "regexp_extract_all")
def _regexp_extract(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = _texts(c, node, c.args(node, 2, 3))
    subject, pattern = _operands(args)
    group = c.as_type(node, args[2], t.BIGINT) if len(args) == 3 else Typed("0", t.BIGINT, 0)
    kind = t.VARCHAR if node.name == "regexp_extract" else t.array(t.VARCHAR)
    native = _native(args[1])
    if native is None or not _is_plain_group(native, group):
        return Typed(f"qr_{node.name}({subject}, {pattern}, {exact(group)})", kind)
    count = formats.groups_of(native)
    number = group.constant
    if isinstance(number, int) and number > count:
        wrong = f"Pattern has {count} groups. Cannot access group {number}"
        return c.fails(wrong, kind, args[:1])
    found = f"{node.name}({subject}, {text(native)}, {number})"
    if node.name == "regexp_extract":
        found = f"(CASE WHEN regexp_matches({subject}, {text(native)}) THEN {found} END)"
    return Typed(found, kind)


def _is_plain_group(pattern: str, group: Typed) -> bool:
    """One that RE2 gives as Java does: a group of its own may match nothing at all."""
    if not isinstance(group.constant, int) or group.constant < 0:
        return False
    if pattern_texts.may_match_nothing(pattern):
        return False
    return not (group.constant and pattern_texts.group_may_be_absent(pattern))


@special("regexp_position")
def _regexp_position(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = _texts(c, node, c.args(node, 2, 4))
    subject, pattern = _operands(args)
    numbers = [exact(c.as_type(node, value, t.BIGINT)) for value in args[2:]]
    start, occurrence = [*numbers, "1", "1"][:2] if numbers else ["1", "1"]
    sql = f"qr_regexp_position({subject}, {pattern}, {start}, {occurrence})"
    return Typed(sql, t.INTEGER)


@special("regexp_replace")
def _regexp_replace(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if len(node.args) == 3 and isinstance(node.args[2], ast.Lambda):
        return _replaced_by_lambda(c, node, node.args[2])
    args = _texts(c, node, c.args(node, 2, 3))
    subject, pattern = _operands(args)
    new = _native_replacement(args)
    if new is not None:
        found = f"regexp_replace({subject}, {text(_native(args[1]) or '')}, {text(new)}, 'g')"
        return Typed(found, t.VARCHAR)
    written = exact(c.as_type(node, args[2], t.VARCHAR)) if args[2:] else "''"
    return Typed(f"qr_regexp_replace({subject}, {pattern}, {written})", t.VARCHAR)


def _native_replacement(args: list[Typed]) -> str | None:
    """What RE2 takes for the replacement; None where it would do something else."""
    native = _native(args[1])
    if native is None or pattern_texts.may_match_nothing(native):
        return None
    written = args[2].constant if args[2:] else ""
    if not isinstance(written, str) or written.endswith("\\"):
        return None
    try:
        return formats.replacement(written, formats.groups_of(native))
    except pattern_texts.UntranslatableError:
        return None


def _replaced_by_lambda(c: DuckDBCompiler, node: ast.Call, body: ast.Lambda) -> Typed:
    """The worker says which groups each match has, and puts what becomes of them in its place."""
    values = [c.expr(arg) for arg in node.args[:2]]

    def replaced(values: list[Typed]) -> Typed:
        subject, pattern = _operands(_texts(c, node, values))
        item = c.fresh("p")
        made = c.lambda_of(node, body, [Typed(item, t.array(t.VARCHAR))])
        made = c.as_type(node, made, t.VARCHAR)
        groups = f"qr_regexp_groups({subject}, {pattern})"
        parts = f"list_transform({groups}, lambda {item}: {exact(made)})"
        return Typed(f"qr_regexp_splice({subject}, {pattern}, {parts})", t.VARCHAR)

    return c.once_each(values, replaced)


@special("regexp_split")
def _regexp_split(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = _texts(c, node, c.args(node, 2))
    subject, pattern = _operands(args)
    native = _native(args[1])
    kind = t.array(t.VARCHAR)
    if native is None or pattern_texts.may_match_nothing(native):
        return Typed(f"qr_regexp_split({subject}, {pattern})", kind)
    return Typed(f"string_split_regex({subject}, {text(native)})", kind)
