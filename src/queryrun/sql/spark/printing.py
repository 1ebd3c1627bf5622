"""Columns of a result whose types have no form in its files: text, as Trino prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark import casts, clocks, intervals
from queryrun.sql.spark.types import quoted
from queryrun.sql.trino.tokens import failure_at

_AS_TEXT = frozenset([t.DAYS.name, t.MONTHS.name, "char", "ipaddress"])
_OWN = _AS_TEXT | {"time", t.TIMETZ}


def with_text(
    sql: str, outputs: Sequence[Output], statement: str, zone: str
) -> tuple[str, list[Output]]:
    """The query with such columns printed. Raises `RunFailed` where one is nested in another."""
    for output in outputs:
        if any(map(_has_text, output.type.parts)):
            message = f"A result column of type {output.type} is not supported"
            raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, 0)
    if not any(output.type.name in _OWN or t.is_fine(output.type) for output in outputs):
        return sql, list(outputs)
    names = [f"c{number}" for number in range(1, len(outputs) + 1)]
    columns, printed = [], []
    for number, (column, output) in enumerate(zip(names, outputs, strict=True)):
        item = f"q.{column}"
        if output.type.name in {"time", t.TIMETZ}:
            value = clocks.result(Typed(item, output.type))
            item, output = value.sql, replace(output, type=value.type)
        if output.type.name in _AS_TEXT or t.is_fine(output.type):
            item = _printed(Typed(item, output.type), zone)
            output = replace(output, type=t.VARCHAR)
        columns.append(f"{item} AS {quoted(output.name_at(number))}")
        printed.append(output)
    return f"SELECT {', '.join(columns)} FROM ({sql}) AS q({', '.join(names)})", printed


def _printed(value: Typed, zone: str) -> str:
    if value.type.name in {"char", "ipaddress"} or t.is_moment(value.type):
        return casts.explicit(value, t.VARCHAR, None, CastSite(zone=zone)).sql
    return intervals.printed(value)


def _has_text(kind: Type) -> bool:
    return kind.name in _OWN or t.is_fine(kind) or any(map(_has_text, kind.parts))
