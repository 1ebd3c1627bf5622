"""Intervals in Spark's SQL: amounts, fields, and their spelling in a result.

Trino's interval of days and seconds has milliseconds, Spark's has microseconds: all that is made
here has whole milliseconds.
"""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.binding import bound

_EPOCH = "TIMESTAMP_NTZ '1970-01-01 00:00:00'"
FIELDS = {
    "day": "{} div 86400000L", "hour": "{} div 3600000L % 24", "minute": "{} div 60000L % 60",
    "second": "{} div 1000L % 60", "millisecond": "{} % 1000",
}  # fmt: skip
_MONTH_FIELDS = {"year": "{} div 12", "month": "{} % 12"}


def amount(value: Typed) -> str:
    """Its milliseconds or months."""
    if value.type == t.DAYS:
        return f"(unix_micros(CAST({_EPOCH} + {value.sql} AS TIMESTAMP)) div 1000L)"
    return (
        f"(CAST(extract(YEAR FROM {value.sql}) AS BIGINT) * 12 + extract(MONTH FROM {value.sql}))"
    )


def of_amount(sql: str, kind: Type) -> Typed:
    """An interval of so many whole milliseconds or months."""
    if kind == t.MONTHS:
        return Typed(f"make_ym_interval(0, CAST({sql} AS INT))", kind)
    whole = f"CAST({sql} AS BIGINT)"

    def made(u: str) -> str:
        seconds = f"CAST({u} % 86400000L AS DECIMAL(18,6)) / 1000"
        return f"make_dt_interval(CAST({u} div 86400000L AS INT), 0, 0, {seconds})"

    return Typed(bound(whole, made, "u1"), kind)


def literal(millis: int) -> Typed:
    """An interval of so many milliseconds."""
    days, rest = divmod(abs(millis), 86_400_000)
    sign = "-" if millis < 0 else ""
    seconds = f"{sign}{rest // 1000}.{rest % 1000:03}"
    return Typed(f"make_dt_interval({sign}{days}, 0, 0, {seconds})", t.DAYS)


def scaled(value: Typed, op: str, factor: str) -> Typed:
    """An interval times or by a double, cut to what is whole."""
    by = f"{op} {factor}" if op == "*" else f"/ nullif({factor}, 0D)"
    number = f"(CAST({amount(value)} AS DOUBLE) {by})"
    return of_amount(f"if({number} < 0, ceil({number}), floor({number}))", value.type)


def between(micros: str) -> Typed:
    """An interval of microseconds, rounded half up to milliseconds."""
    return of_amount(f"floor(({micros} + 500) / 1000D)", t.DAYS)


def field(value: Typed, name: str) -> str:
    """A part of an interval, with its sign; empty where it has no such part."""
    form = (FIELDS if value.type == t.DAYS else _MONTH_FIELDS).get(name, "")
    return f"({form.format(amount(value))})" if form else ""


def printed(value: Typed) -> str:
    """An interval as Trino prints it."""

    def formatted(u: str) -> str:
        sign = f"if({u} < 0, '-', '')"
        if value.type == t.MONTHS:
            return f"concat({sign}, abs({u}) div 12, '-', abs({u}) % 12)"
        clock = ", ".join(
            f"'{before}', lpad(abs({u}) div {unit}L % {base}, {size}, '0')"
            for before, unit, base, size in (
                (" ", 3_600_000, 24, 2), (":", 60_000, 60, 2), (":", 1_000, 60, 2),
                (".", 1, 1000, 3),
            )
        )  # fmt: skip
        return f"concat({sign}, abs({u}) div 86400000L, {clock})"

    return bound(amount(value), formatted, "u2")
