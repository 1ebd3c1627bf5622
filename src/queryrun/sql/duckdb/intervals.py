"""Intervals in DuckDB's SQL: literals, their fields, and their spelling in a result.

An interval of days and seconds has milliseconds, one of years and months has months; DuckDB's
INTERVAL carries either. As a column of a result it is text, as Trino prints it.
"""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type

_EPOCH = "TIMESTAMP '1970-01-01'"
FIELDS = {"day", "hour", "minute", "second", "millisecond"}


def millis(sql: str) -> str:
    """The milliseconds of an interval of days and seconds."""
    return f"(epoch_us({_EPOCH} + {sql}) // 1000)"


def months(sql: str) -> str:
    """The months of an interval of years and months."""
    return f"(12 * datepart('year', {sql}) + datepart('month', {sql}))"


def of_millis(sql: str) -> Typed:
    """An interval of so many milliseconds."""
    return Typed(f"to_milliseconds(CAST({sql} AS BIGINT))", t.DAYS)


def of_months(sql: str) -> Typed:
    """An interval of so many months."""
    return Typed(f"to_months(CAST({sql} AS INTEGER))", t.MONTHS)


def amount(value: Typed) -> str:
    """Its milliseconds or months."""
    return millis(value.sql) if value.type == t.DAYS else months(value.sql)


def of_amount(sql: str, kind: Type) -> Typed:
    """An interval of so many milliseconds or months."""
    return of_millis(sql) if kind == t.DAYS else of_months(sql)


def scaled(value: Typed, op: str, factor: str) -> Typed:
    """An interval times or by a double, cut to what is whole."""
    return of_amount(f"trunc(CAST({amount(value)} AS DOUBLE) {op} {factor})", value.type)


def field(value: Typed, name: str) -> str:
    """A part of an interval, with its sign."""
    if value.type == t.MONTHS:
        return f"({months(value.sql)} // 12)" if name == "year" else f"({months(value.sql)} % 12)"
    whole = millis(value.sql)
    return {
        "day": f"({whole} // 86400000)",
        "hour": f"({whole} // 3600000 % 24)",
        "minute": f"({whole} // 60000 % 60)",
        "second": f"({whole} // 1000 % 60)",
        "millisecond": f"({whole} % 1000)",
    }[name]


def printed(value: Typed) -> str:
    """An interval as Trino prints it."""
    number = amount(value)
    sign = f"CASE WHEN {number} < 0 THEN '-' ELSE '' END"
    if value.type == t.MONTHS:
        return f"({sign} || abs({number}) // 12 || '-' || abs({number}) % 12)"
    clock = "".join(
        f" || '{before}' || lpad(CAST(abs({number}) // {unit} % {base} AS VARCHAR), {size}, '0')"
        for before, unit, base, size in (
            (" ", 3_600_000, 24, 2), (":", 60_000, 60, 2), (":", 1_000, 60, 2), (".", 1, 1000, 3),
        )
    )  # fmt: skip
    return f"({sign} || abs({number}) // 86400000{clock})"
