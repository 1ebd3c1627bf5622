"""Functions of regular expressions that need to know where the matches are.

Spark says what matches and what is between: a string cut at its matches is what is in front of each
of them. That holds for patterns that match one character at least; the others are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from queryrun.sql.compile import types as t
from queryrun.sql.compile.pattern_texts import group_may_be_absent, may_match_nothing
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import formats
from queryrun.sql.spark.binding import all_bound, bound
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.special import subject_and_pattern
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.types import text
from queryrun.sql.trino.records import ast

_SEES_BEFORE = re.compile(r"\^|\\[AbB]|\(\?<[=!]")
"""What depends on the characters in front of where the search begins."""


@special("regexp_position")
def _regexp_position(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 4)
    subject, pattern = subject_and_pattern(c, node, args)
    written = str(args[1].constant)
    if written and may_match_nothing(written):
        c.refuse("regexp_position of a pattern that may match nothing", node.at)
    if len(args) > 2 and args[2].constant != 1 and _SEES_BEFORE.search(written):
        c.refuse("regexp_position of such a pattern that begins later", node.at)
    numbers = [c.as_type(node, value, t.BIGINT).sql for value in args[2:]]
    start, occurrence = [*numbers, "1L", "1L"][:2] if numbers else ["1L", "1L"]
    start_failing = c.failing("start position cannot be smaller than 1")
    occurrence_failing = c.failing("occurrence cannot be smaller than 1")

    def found(u: str) -> str:
        return (
            f"(CASE WHEN {u}.s IS NULL OR {u}.p IS NULL OR {u}.n IS NULL THEN NULL "
            f"WHEN {u}.p < 1 THEN {start_failing} WHEN {u}.n < 1 THEN {occurrence_failing} "
            f"WHEN {u}.p > length({u}.s) THEN -1 ELSE {position(u)} END)"
        )

    def position(u: str) -> str:
        if not written:
            last = f"{u}.p + {u}.n - 1"
            return f"CAST(if({last} <= length({u}.s) + 1, {last}, -1) AS INT)"
        rest = f"substring({u}.s, CAST({u}.p AS INT))"
        return bound(rest, lambda r: _behind(r, pattern, u), "r")

    parts = {"s": subject, "p": start, "n": occurrence}
    return Typed(all_bound(parts, found, "u"), t.INTEGER)


def _behind(rest: str, pattern: str, u: str) -> str:
    """What is in front of a match: the parts before it, and the matches between these."""
    parts = {
        "b": f"split({rest}, {pattern}, -1)",
        "m": f"regexp_extract_all({rest}, {pattern}, 0)",
    }

    def counted(v: str) -> str:
        count = f"CAST({u}.n AS INT)"
        before = f"concat(slice({v}.b, 1, {count}), slice({v}.m, 1, {count} - 1))"
        length = f"length(array_join({before}, ''))"
        return f"if({u}.n > size({v}.m), -1, CAST({u}.p AS INT) + {length})"

    return all_bound(parts, counted, "v")


@special("regexp_replace")
def _regexp_replace(c: SparkCompiler, node: ast.Call) -> Typed:
    if len(node.args) == 3 and isinstance(node.args[2], ast.Lambda):
        return _replaced_by_lambda(c, node, node.args[2])
    args = c.args(node, 2, 3)
    subject, pattern = subject_and_pattern(c, node, args)
    new = c.constant_text(node, args[2], "a replacement") if args[2:] else ""
    return Typed(f"regexp_replace({subject}, {pattern}, {text(new)})", t.VARCHAR)


def _replaced_by_lambda(c: SparkCompiler, node: ast.Call, body: ast.Lambda) -> Typed:
    """Each match replaced by what becomes of its groups; NULL where one of these is."""
    args = [c.expr(arg) for arg in node.args[:2]]
    subject, pattern = subject_and_pattern(c, node, args)
    written = str(args[1].constant)
    count = formats.groups_of(written)
    if may_match_nothing(written) or (count and group_may_be_absent(written)):
        c.refuse("regexp_replace with a lambda, of a pattern that may match nothing", node.at)
    item, match, number = c.fresh("p"), c.fresh("p"), c.fresh("p")
    made = c.lambda_of(node, body, [Typed(item, t.array(t.VARCHAR))])
    made = c.as_type(node, made, t.VARCHAR)

    def replaced(s: str) -> str:
        groups = range(1, count + 1)
        parts = {f"g{n}": f"regexp_extract_all({s}, {pattern}, {n})" for n in range(count + 1)}
        return all_bound({"b": f"split({s}, {pattern}, -1)", **parts}, spliced(groups), "u")

    def spliced(groups: range) -> Callable[[str], str]:
        def joined(u: str) -> str:
            own = ", ".join(f"{u}.g{n}[{number}]" for n in groups)
            listed = f"CAST(array({own}) AS ARRAY<STRING>)"
            found = f"transform({u}.g0, ({match}, {number}) -> {listed})"
            texts = f"concat(transform({found}, {item} -> {c.exact(made)}), array(''))"
            both = f"zip_with({u}.b, {texts}, (part, own) -> concat(part, own))"
            return f"aggregate({both}, '', (before, one) -> concat(before, one))"

        return joined

    return Typed(bound(subject, replaced, "s"), t.VARCHAR)
