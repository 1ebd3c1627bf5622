"""Functions of strings and regular expressions that look at their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from queryrun.sql.compile import types as t
from queryrun.sql.compile.iso_moments import read_iso
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import exact
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

# --- strings --------------------------------------------------------------------------------


@special("concat_ws")
def _concat_ws(c: DuckDBCompiler, node: ast.Call) -> Typed:
    values = [c.as_type(node, value, t.VARCHAR).sql for value in c.args(node, 2, 127)]
    return Typed(f"concat_ws({', '.join(values)})", t.VARCHAR)


_EPOCH = date(1970, 1, 1)
_FAR = 2**31 - 1
"""No string is longer."""


@special("substring", "substr")
def _substring(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Counts from the end for a negative start; empty for a start outside of the string."""
    args = c.args(node, 2, 3)
    if args[0].type == t.VARBINARY:
        return _part_of_bytes(c, node, args)
    string = c.as_type(node, args[0], t.VARCHAR).sql
    start = c.as_type(node, args[1], t.BIGINT)
    length = there = ""
    if len(args) == 3:
        count = c.as_type(node, args[2], t.BIGINT)
        there = f"{count.sql} IS NOT NULL AND "
        kept = f"least(greatest({count.sql}, 0), {_FAR})"
        length = f", CASE WHEN {count.sql} IS NOT NULL THEN {kept} END"
        if isinstance(count.constant, int):
            length = f", {min(max(count.constant, 0), _FAR)}"
    if isinstance(start.constant, int) and 0 < start.constant <= _FAR:
        return Typed(f"substring({string}, {start.sql}{length})", t.VARCHAR)
    begin = (
        f"CASE WHEN {start.sql} > 0 THEN {start.sql} ELSE length({string}) + {start.sql} + 1 END"
    )
    outside = (
        f"{string} IS NOT NULL AND {there}({start.sql} = 0 OR {start.sql} < -length({string}) "
        f"OR {start.sql} > length({string}))"
    )
    return Typed(
        f"(CASE WHEN {outside} THEN '' ELSE substring({string}, {begin}{length}) END)", t.VARCHAR
    )


def _part_of_bytes(c: DuckDBCompiler, node: ast.Call, args: Sequence[Typed]) -> Typed:
    """The same of bytes: through their hexadecimal digits, which come in pairs."""
    begin, count = c.as_type(node, args[1], t.BIGINT), Typed(str(_FAR), t.BIGINT)
    if len(args) == 3:
        count = c.as_type(node, args[2], t.BIGINT)

    def part(values: list[Typed]) -> Typed:
        data, start, size = (v.sql for v in values)
        first = f"CASE WHEN {start} > 0 THEN {start} ELSE octet_length({data}) + {start} + 1 END"
        digits = (
            f"substring(hex({data}), CAST(({first}) * 2 - 1 AS BIGINT), "
            f"CAST(least(greatest({size}, 0), {_FAR // 2}) * 2 AS BIGINT))"
        )
        size_bytes = f"octet_length({data})"
        outside = f"{start} = 0 OR {start} < -{size_bytes} OR {start} > {size_bytes}"
        known = f"{data} IS NULL OR {start} IS NULL OR {size} IS NULL"
        sql = f"(CASE WHEN {known} THEN NULL WHEN {outside} THEN ''::BLOB ELSE unhex({digits}) END)"
        return Typed(sql, t.VARBINARY)

    return c.once_each([args[0], begin, count], part)


@special("codepoint")
def _codepoint(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Takes a varchar(1) and nothing longer."""
    (value,) = c.args(node, 1)
    arg = node.args[0]
    is_cast = isinstance(arg, ast.Cast) and arg.type.arguments == [1]
    if value.type != t.VARCHAR or not (is_cast or len(str(value.constant)) == 1):
        c.wrong_arguments(node, [value])
    failing = c.failing("Input string must be a single character string")
    sql = f"(CASE WHEN {value.sql} = '' THEN {failing} ELSE unicode({value.sql}) END)"
    return Typed(sql if is_cast else f"unicode({value.sql})", t.INTEGER)


@special("from_iso8601_date")
def _from_iso8601_date(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    value = c.as_type(node, value, t.VARCHAR)
    if not isinstance(value.constant, str):
        return Typed(f"(DATE '1970-01-01' + qr_iso_day({exact(value)}))", t.DATE)
    found = None if "T" in value.constant else read_iso(value.constant)
    if found is None:
        return c.fails(f'Invalid format: "{value.constant}"', t.DATE, [])
    return Typed(f"DATE '{_EPOCH + timedelta(seconds=found.nanos // 10**9)}'", t.DATE)


_FORMS = frozenset(["NFC", "NFD", "NFKC", "NFKD"])


@special("split_part")
def _split_part(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """NULL beyond the last part."""
    string, delimiter, index = c.args(node, 3)
    parts = f"string_split({string.sql}, {c.as_type(node, delimiter, t.VARCHAR).sql})"
    i = c.as_type(node, index, t.BIGINT).sql
    c.as_type(node, string, t.VARCHAR)
    wrong = "Index must be greater than zero"
    if isinstance(index.constant, int) and index.constant <= 0:
        return c.fails(wrong, t.VARCHAR, [string, delimiter])
    if isinstance(index.constant, int):
        return Typed(f"({parts})[{i}]", t.VARCHAR)
    failing = c.failing(wrong)
    return Typed(f"(CASE WHEN {i} <= 0 THEN {failing} ELSE ({parts})[{i}] END)", t.VARCHAR)


@special("normalize")
def _normalize(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    string = c.as_type(node, args[0], t.VARCHAR).sql
    form = args[1].constant if len(args) == 2 else "NFC"
    if form == "NFC":
        return Typed(f"nfc_normalize({string})", t.VARCHAR)
    if form not in _FORMS:
        c.invalid(f"Normalization form '{form}' does not exist", node.at)
    return Typed(f"qr_normalize({string}, {text(str(form))})", t.VARCHAR)
