"""Values in other types: what Trino does without being told, in DuckDB's SQL."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import types


def cast(value: Typed, target: Type) -> Typed:
    """The value in another type that Trino brings it to without being told."""
    if t.bare(value.type) == t.bare(target):
        return value
    if value.type.name == target.name and value.type.name in _CLOCKED:
        if t.is_fine(target) and not t.is_fine(value.type):
            return Typed(picos(value), target)
        return Typed(value.sql, target, value.constant)  # DuckDB has microseconds throughout
    if t.is_fine(target) and t.is_moment(value.type):
        return _to_fine(value, target)
    if {value.type.name, target.name} <= {"char", "varchar"}:
        return _between_texts(value, target)
    return Typed(f"CAST({value.sql} AS {types.duckdb_name(target)})", target, value.constant)


def _between_texts(value: Typed, target: Type) -> Typed:
    """A char has no spaces at its end until it becomes a varchar, which has all of them."""
    if target.name == "varchar":
        constant = value.constant
        padded = constant.ljust(value.type.params[0]) if isinstance(constant, str) else None
        return Typed(f"rpad({value.sql}, {value.type.params[0]}, ' ')", target, padded)
    sql = value.sql if value.type.name == "char" else f"rtrim({value.sql}, ' ')"
    return Typed(sql, target)


_CLOCKED = {"timestamp", t.TSTZ, "time", t.TIMETZ}


def picos(value: Typed) -> str:
    """Picoseconds since 1970 or since midnight, of a moment or time however fine."""
    if t.is_fine(value.type) or value.type.name == t.TIMETZ:
        return value.sql
    if value.type.name == "time":
        return f"(epoch_us(DATE '1970-01-01' + {value.sql}) * 1000000)"
    return f"(CAST(epoch_us({value.sql}) AS HUGEINT) * 1000000)"


def _to_fine(value: Typed, target: Type) -> Typed:
    """A date, or a timestamp that gets the session's zone, as one that is finer."""
    if not t.is_fine(value.type):
        coarse = cast(value, Type(target.name, (6,), zone=target.zone))
        return Typed(picos(coarse), target)
    if value.type.name != "timestamp":
        return Typed(value.sql, target)
    far, micro = 10**26, 10**6
    micros = f"(({value.sql} + {far}) // {micro} - {far // micro})"
    whole = f"CAST(make_timestamp(CAST({micros} AS BIGINT)) AS TIMESTAMPTZ)"
    rest = f"({value.sql} + {far}) % {micro}"
    return Typed(f"({picos(Typed(whole, t.timestamp_tz(6)))} + {rest})", target)


def exact(value: Typed) -> str:
    """The SQL of a value whose DuckDB type must be the Trino type's even if it is a literal.

    DuckDB fits an integer literal to what stands beside it; Trino's are integers.
    """
    if isinstance(value.constant, int) and t.is_integer(value.type):
        return f"{value.sql}::{types.duckdb_name(value.type)}"
    if value.type.name == "unknown":  # what can fail still has to
        return f"CAST({value.sql} AS INTEGER)" if "error(" in value.sql else "NULL"
    return value.sql
