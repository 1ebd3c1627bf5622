"""Columns of a result whose types no format of results has: they are text, as Trino prints them.

These are intervals, moments finer than a microsecond, times with a zone, chars and addresses, in
arrays, maps and rows, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import casts, casts_time, fine, intervals, types
from queryrun.sql.trino.spelling import name

_OWN = frozenset([t.DAYS.name, t.MONTHS.name, t.TIMETZ, "char", "ipaddress"])


def needs_text(kind: Type) -> bool:
    """Whether a value, or a part of it, has no form in the files of results."""
    is_own = kind.name in _OWN or t.is_fine(kind)
    return is_own or any(map(needs_text, kind.parts))


def varies(kind: Type) -> bool:
    """Whether its time zone differs from value to value, and would be lost."""
    is_nested = any(part.name == t.TIMETZ and part.zone == t.VARIES for part in _leaves(kind))
    return kind.zone == t.VARIES or is_nested


def _leaves(kind: Type) -> list[Type]:
    return [leaf for part in kind.parts for leaf in _leaves(part)] if kind.parts else [kind]


def with_text(sql: str, outputs: Sequence[Output], zone: str) -> tuple[str, list[Output]]:
    """The query with such columns printed; `zone` is the session's."""
    if not any(needs_text(output.type) for output in outputs):
        return sql, list(outputs)
    names = [f"c{number}" for number in range(1, len(outputs) + 1)]
    columns, printed = [], []
    for number, (column, output) in enumerate(zip(names, outputs, strict=True)):
        value = Typed(f"q.{column}", output.type)
        columns.append(f"{_printed(value, zone, 0)} AS {name(output.name_at(number))}")
        printed.append(replace(output, type=_printed_type(output.type)))
    return f"SELECT {', '.join(columns)} FROM ({sql}) AS q({', '.join(names)})", printed


def _printed_type(kind: Type) -> Type:
    if not needs_text(kind):
        return kind
    return replace(kind, parts=tuple(map(_printed_type, kind.parts))) if kind.parts else t.VARCHAR


def _printed(value: Typed, zone: str, depth: int) -> str:
    kind, sql = value.type, value.sql
    if not needs_text(kind):
        return sql
    if kind in {t.DAYS, t.MONTHS}:
        return intervals.printed(value)
    if kind.name in {"time", t.TIMETZ}:
        return fine.clock_text(value)
    if kind.name in {"char", "ipaddress"}:
        return casts.explicit(value, t.VARCHAR, None, CastSite()).sql
    if not kind.parts:
        return casts_time.printed_moment(value, zone)
    return _NESTED[kind.name](value, zone, depth + 1)


def _array(value: Typed, zone: str, depth: int) -> str:
    item = f"item{depth}"
    body = _printed(Typed(item, value.type.parts[0]), zone, depth)
    return f"list_transform({value.sql}, lambda {item}: {body})"


def _map(value: Typed, zone: str, depth: int) -> str:
    pair = f"pair{depth}"
    key, item = (
        _printed(Typed(f"{pair}.{field}", part), zone, depth)
        for field, part in zip(("key", "value"), value.type.parts, strict=True)
    )
    entry = f"{{'key': {key}, 'value': {item}}}"
    return f"map_from_entries(list_transform(map_entries({value.sql}), lambda {pair}: {entry}))"


def _row(value: Typed, zone: str, depth: int) -> str:
    item = f"row{depth}"
    fields = [
        _printed(Typed(f"struct_extract_at({item}, {n + 1})", part), zone, depth)
        for n, part in enumerate(value.type.parts)
    ]
    made = f"CAST(row({', '.join(fields)}) AS {types.duckdb_name(_printed_type(value.type))})"
    body = f"CASE WHEN {item} IS NOT NULL THEN {made} END"
    return f"list_transform([{value.sql}], lambda {item}: {body})[1]"


_NESTED = {"array": _array, "map": _map, "row": _row}
