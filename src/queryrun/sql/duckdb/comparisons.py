"""Comparing arrays, rows and maps in DuckDB's SQL, with NULLs inside as Trino has them.

DuckDB takes two NULLs inside of values for equal, and sorts them; for Trino such a comparison is
unknown unless something else decides it, and an order fails. JSON is equal as a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queryrun.sql.compile import types as t
from queryrun.sql.compile.comparisons import NESTED, orderable
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type

if TYPE_CHECKING:
    from queryrun.sql.compile.compiler import Compiler


def field(value: Typed, number: int) -> Typed:
    """A row's field, from 0, whether rows have names or not."""
    if value.fields:
        return value.fields[number]
    return Typed(f"struct_extract_at({value.sql}, {number + 1})", value.type.parts[number])


def equal(c: Compiler, left: Typed, right: Typed, at: int) -> Typed:
    """Whether two values are equal: true, false or unknown. Their types may differ inside."""
    if "unknown" in {left.type.name, right.type.name}:
        return Typed("CAST(NULL AS BOOLEAN)", t.BOOLEAN)
    if left.type.name not in NESTED:
        return Typed(c.compare("=", left, right, at), t.BOOLEAN)
    if left.fields and right.fields:
        return Typed(_equal_rows(c, left, right, at), t.BOOLEAN)
    return c.once(left, lambda a: c.once(right, lambda b: _equal(c, a, b, at)))


def _equal(c: Compiler, a: Typed, b: Typed, at: int) -> Typed:
    match a.type.name:
        case "json":
            sql = f"(qr_json_canonical({a.sql}) = qr_json_canonical({b.sql}))"
            return Typed(sql, t.BOOLEAN)
        case "array":
            sql = _equal_arrays(c, a, b, at)
        case "row":
            sql = _equal_rows(c, a, b, at)
        case _:
            sql = _equal_maps(c, a, b, at)
    missing = f"{a.sql} IS NULL OR {b.sql} IS NULL"
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {sql} END)", t.BOOLEAN)


def _equal_arrays(c: Compiler, a: Typed, b: Typed, at: int) -> str:
    pair = c.fresh("p")
    left, right = Typed(f"{pair}[1]", a.type.parts[0]), Typed(f"{pair}[2]", b.type.parts[0])
    test = equal(c, left, right, at).sql
    tests = _all(f"list_transform(list_zip({a.sql}, {b.sql}), lambda {pair}: {test})")
    return f"CASE WHEN len({a.sql}) <> len({b.sql}) THEN false ELSE {tests} END"


def _equal_rows(c: Compiler, a: Typed, b: Typed, at: int) -> str:
    count = len(a.type.parts)
    tests = [equal(c, field(a, n), field(b, n), at).sql for n in range(count)]
    return "(" + " AND ".join(tests) + ")"


def _equal_maps(c: Compiler, a: Typed, b: Typed, at: int) -> str:
    if a.type.parts[0] != b.type.parts[0]:
        c.refuse(f"Comparing values of types {a.type} and {b.type}", at)
    key = c.fresh("p")
    left = Typed(f"map_extract_value({a.sql}, {key})", a.type.parts[1])
    right = Typed(f"map_extract_value({b.sql}, {key})", b.type.parts[1])
    there = f"list_contains(map_keys({b.sql}), {key})"
    test = f"CASE WHEN NOT {there} THEN false ELSE {equal(c, left, right, at).sql} END"
    tests = _all(f"list_transform(map_keys({a.sql}), lambda {key}: {test})")
    return f"CASE WHEN cardinality({a.sql}) <> cardinality({b.sql}) THEN false ELSE {tests} END"


def _all(tests: str) -> str:
    return f"list_reduce({tests}, lambda one, other: one AND other, true)"


def compared(c: Compiler, op: str, left: Typed, right: Typed, at: int) -> str:
    """A comparison of nested values."""
    if op in {"=", "<>"}:
        found = equal(c, left, right, at).sql
        return found if op == "=" else f"(NOT {found})"
    kind = left.type
    if not orderable(kind):
        c.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)
    if t.bare(kind) != t.bare(right.type):
        c.refuse(f"Ordering values of types {left.type} and {right.type}", at)
    return f"({ordered(c, left)} {op} {ordered(c, right)})"


def as_row_of(c: Compiler, value: Typed, kinds: Sequence[Type], at: int) -> str:
    """A row whose fields have these types, without names: what a subquery's rows can be in."""
    if len(value.type.parts) != len(kinds):
        c.mismatch(f"Cannot compare {value.type} with {len(kinds)} columns", at)
    fields = [
        c.exact(c.canonical(c.cast_to(field(value, n), kind))) for n, kind in enumerate(kinds)
    ]
    return row_of(fields)


def row_of(fields: Sequence[str]) -> str:
    """Fields to compare with a subquery's: DuckDB takes a row of one for what is in it."""
    return fields[0] if len(fields) == 1 else f"row({', '.join(fields)})"


def ordered(c: Compiler, value: Typed) -> str:
    """A value to sort by, which fails where a NULL or a NaN inside would decide."""
    unfit = unorderable(c, value.sql, value.type)
    if not unfit:
        return value.sql
    refusal = c.unsupported("Ordering arrays or rows with NULL or NaN inside")
    one = c.once(
        value,
        lambda one: Typed(
            f"(CASE WHEN {unorderable(c, one.sql, one.type)} THEN {refusal} ELSE {one.sql} END)",
            one.type,
        ),
    )
    return one.sql


def unorderable(
    c: Compiler, sql: str, kind: Type, *, is_inside: bool = False, with_nan: bool = True
) -> str:
    """A condition for a value that has no place in Trino's order; empty where each has one."""
    found = []
    if is_inside:
        found.append(f"{sql} IS NULL")
        if with_nan and t.is_floating(kind):
            found.append(f"isnan({sql})")
    if kind.name == "array":
        item = c.fresh("p")
        test = unorderable(c, item, kind.parts[0], is_inside=True, with_nan=with_nan)
        found.append(f"len(list_filter({sql}, lambda {item}: {test})) > 0")
    if kind.name == "row":
        found += [
            unorderable(c, field(Typed(sql, kind), n).sql, part, is_inside=True, with_nan=with_nan)
            for n, part in enumerate(kind.parts)
        ]
    return " OR ".join(f"({one})" for one in found if one)


def canonical(c: Compiler, value: Typed) -> Typed:
    """A value that DuckDB takes for equal to every other that Trino does: the keys of its maps are
    in order. For grouping, DISTINCT, set operations and the like, which compare what is stored."""
    if not t.has_map(value.type):
        return value
    return c.once(value, lambda one: Typed(_canonical(c, one), one.type))


def _canonical(c: Compiler, value: Typed) -> str:
    if value.type.name == "row":
        fields = [canonical(c, field(value, n)).sql for n in range(len(value.type.parts))]
        row = f"CAST(row({', '.join(fields)}) AS {c.type_name(value.type)})"
        return f"(CASE WHEN {value.sql} IS NOT NULL THEN {row} END)"
    one = c.fresh("p")
    if value.type.name == "array":
        item = canonical(c, Typed(one, value.type.parts[0])).sql
        return f"list_transform({value.sql}, lambda {one}: {item})"
    key = canonical(c, Typed(f"{one}.key", value.type.parts[0])).sql
    of_key = canonical(c, Typed(f"{one}.value", value.type.parts[1])).sql
    entry = f"struct_pack(key := {key}, value := {of_key})"
    entries = f"list_transform(map_entries({value.sql}), lambda {one}: {entry})"
    return f"map_from_entries(list_sort({entries}))"
