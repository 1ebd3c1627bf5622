"""`format`: each value is handed to the worker as text, with a letter for what it is."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import casts, casts_time, fine
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import exact
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

_NANOS = 9
"""Digits of a second that java.time has."""
_KINDS = {
    "boolean": "b", "tinyint": "i", "smallint": "i", "integer": "i", "bigint": "i",
    "decimal": "n", "double": "d", "real": "r", "date": "D", "timestamp": "T", t.TSTZ: "Z",
    "time": "C",
}  # fmt: skip


@special("format")
def _format(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 101)
    pattern = c.as_type(node, args[0], t.VARCHAR)
    values = args[1:]
    if len(values) == 1 and values[0].type.name == "row" and values[0].fields:
        values = list(values[0].fields)
    kinds = "".join(_KINDS.get(value.type.name, "s") for value in values)
    texts = ", ".join(_text(c, value) for value in values)
    return Typed(f"qr_format({exact(pattern)}, {text(kinds)}, [{texts}])", t.VARCHAR)


def _text(c: DuckDBCompiler, value: Typed) -> str:
    kind = value.type
    if kind == t.UNKNOWN:
        return "CAST(NULL AS VARCHAR)"
    if t.is_number(kind) or kind == t.BOOLEAN:
        return f"CAST({exact(value)} AS VARCHAR)"
    if kind.name == "timestamp":
        return casts_time.printed_moment(_in_nanos(value), c.zone)
    if kind.name == "time":
        return fine.clock_text(_in_nanos(value))
    if kind.name == t.TSTZ:
        return _zoned_text(c, value)
    return casts.explicit(value, t.VARCHAR, None, CastSite(zone=c.zone)).sql


def _in_nanos(value: Typed) -> Typed:
    """Rounded to the digits that java.time has."""
    if value.type.params[0] <= _NANOS:
        return value
    return casts_time.to_precision(value, t.timestamp(_NANOS))


def _zoned_text(c: DuckDBCompiler, value: Typed) -> str:
    """`local|offset in seconds|zone`."""
    whole = fine.coarse(value)
    local = casts_time.printed_moment(_in_nanos(casts_time.wall_clock(value)), c.zone)
    shift = f"((epoch_us({casts_time.local(whole)}) - epoch_us({whole.sql})) // 1000000)"
    zone = text("|" + (value.type.zone or c.zone))
    return f"({local} || '|' || {shift} || {zone})"
