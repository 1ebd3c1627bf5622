"""Comparing arrays, rows and maps in Spark's SQL, with NULLs inside as Trino has them.

Spark takes two NULLs inside of values for equal, and sorts them; for Trino such a comparison is
unknown unless something else decides it, and an order fails. Spark has no subqueries in lambdas,
so what is compared here must not contain one, unless it is a row that was written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queryrun.sql.compile import types as t
from queryrun.sql.compile.comparisons import orderable
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.binding import all_bound

if TYPE_CHECKING:
    from queryrun.sql.compile.statement import StatementCompiler

NESTED = frozenset(["array", "map", "row", "json"])


def compared(c: StatementCompiler, op: str, left: Typed, right: Typed, at: int) -> str:
    """A comparison of nested values."""
    if op in {"=", "<>"}:
        found = _equal(c, left, right, at)
        return found if op == "=" else f"(NOT {found})"
    if not orderable(left.type):
        c.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)
    if t.bare(left.type) != t.bare(right.type):
        c.refuse(f"Ordering values of types {left.type} and {right.type}", at)
    return f"({ordered(c, left, at)} {op} {ordered(c, right, at)})"


def _equal(c: StatementCompiler, left: Typed, right: Typed, at: int) -> str:
    """Whether two values are equal: true, false or unknown. Their types may differ inside."""
    if "unknown" in {left.type.name, right.type.name}:
        return "CAST(NULL AS BOOLEAN)"
    if left.type.name not in NESTED:
        return c.compare("=", left, right, at)
    if left.type.name == "json":
        c.refuse(f"Comparing values of type {left.type}", at)
    if left.fields and right.fields:
        return _equal_rows(c, left, right, at)
    _no_query(c, left, right, at)
    names = c.fresh("p")

    def test(u: str) -> str:
        a, b = Typed(f"{u}.a", left.type), Typed(f"{u}.b", right.type)
        make = {"array": _equal_arrays, "row": _equal_rows}.get(left.type.name, _equal_maps)
        return f"(CASE WHEN {u}.a IS NULL OR {u}.b IS NULL THEN NULL ELSE {make(c, a, b, at)} END)"

    return all_bound({"a": left.sql, "b": right.sql}, test, names)


def _no_query(c: StatementCompiler, left: Typed, right: Typed, at: int) -> None:
    if "SELECT " in left.sql or "SELECT " in right.sql:
        c.refuse(f"Comparing values of type {left.type} that are subqueries", at)


def _equal_arrays(c: StatementCompiler, a: Typed, b: Typed, at: int) -> str:
    one, other = c.fresh("p"), c.fresh("p")
    test = _equal(c, Typed(one, a.type.parts[0]), Typed(other, b.type.parts[0]), at)
    tests = f"zip_with({a.sql}, {b.sql}, ({one}, {other}) -> {test})"
    return f"CASE WHEN size({a.sql}) <> size({b.sql}) THEN false ELSE {_all(c, tests)} END"


def _all(c: StatementCompiler, tests: str) -> str:
    found = c.fresh("p")
    return f"forall({tests}, {found} -> {found})"


def field(c: StatementCompiler, value: Typed, number: int) -> Typed:
    """A row's field, from 0, whether the row was written out or not."""
    return value.fields[number] if value.fields else c.row_field(value, number)


def _equal_rows(c: StatementCompiler, a: Typed, b: Typed, at: int) -> str:
    count = len(a.type.parts)
    tests = [_equal(c, field(c, a, n), field(c, b, n), at) for n in range(count)]
    return "(" + " AND ".join(tests) + ")"


def _equal_maps(c: StatementCompiler, a: Typed, b: Typed, at: int) -> str:
    if a.type.parts[0] != b.type.parts[0]:
        c.refuse(f"Comparing values of types {a.type} and {b.type}", at)
    key = c.fresh("p")
    left = Typed(f"try_element_at({a.sql}, {key})", a.type.parts[1])
    right = Typed(f"try_element_at({b.sql}, {key})", b.type.parts[1])
    there = f"map_contains_key({b.sql}, {key})"
    test = f"CASE WHEN NOT {there} THEN false ELSE {_equal(c, left, right, at)} END"
    tests = f"transform(map_keys({a.sql}), {key} -> {test})"
    return f"CASE WHEN size({a.sql}) <> size({b.sql}) THEN false ELSE {_all(c, tests)} END"


def ordered(c: StatementCompiler, value: Typed, at: int) -> str:
    """A value to sort by, which fails where a NULL or a NaN inside would decide."""
    _no_query(c, value, value, at)
    what = "Ordering arrays or rows with NULL or NaN inside is not supported"
    name = c.fresh("p")

    def checked(u: str) -> str:
        unfit = unorderable(c, f"{u}.a", value.type)
        return f"(CASE WHEN {unfit} THEN {c.failing(what)} ELSE {u}.a END)"

    return all_bound({"a": value.sql}, checked, name)


def unorderable(c: StatementCompiler, sql: str, kind: Type, *, is_inside: bool = False) -> str:
    """A condition for a value that has no place in Trino's order; empty where each has one."""
    found = [f"{sql} IS NULL"] if is_inside else []
    if is_inside and t.is_floating(kind):
        found.append(f"isnan({sql})")
    if kind.name == "array":
        item = c.fresh("p")
        test = unorderable(c, item, kind.parts[0], is_inside=True)
        found.append(f"size(filter(coalesce({sql}, array()), {item} -> {test})) > 0")
    if kind.name == "row":
        there = f"{sql} IS NOT NULL AND "
        parts = [
            unorderable(c, c.row_field(Typed(sql, kind), n).sql, part, is_inside=True)
            for n, part in enumerate(kind.parts)
        ]
        found += [f"({there}({one}))" for one in parts if one]
    return " OR ".join(found)


def row_among(
    c: StatementCompiler, value: Typed, sql: str, kinds: Sequence[Type], given: Sequence[Type]
) -> str:
    """Whether a row is one of a subquery's rows, where a NULL inside is like any value."""
    alias = c.fresh("r")
    tests = []
    for number, (kind, own) in enumerate(zip(kinds, given, strict=True)):
        column = c.cast_to(Typed(f"{alias}.c{number + 1}", own), kind)
        one = c.cast_to(field(c, value, number), kind)
        tests.append(f"{c.exact(column)} <=> {c.exact(one)}")
    columns = ", ".join(f"c{number + 1}" for number in range(len(kinds)))
    return f"EXISTS (SELECT 1 FROM ({sql}) AS {alias}({columns}) WHERE {' AND '.join(tests)})"
