"""Formats values for result files, as SQL expressions (contract F4, H22).

Only values that DuckDB's own `COPY` would write differently are converted: dates and times to
ISO 8601, not-a-number and infinities, REAL, blobs, and nested values that contain any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queryrun.results.types import Type

_YEAR_1 = "0001-01-01"


@dataclass(frozen=True, slots=True)
class ValueFormatter:
    """Formats the values of one column. Instants are written in `time_zone`, the session's.

    `own_zone`: the zone of a column of instants that have another one.
    """

    time_zone: str = "UTC"
    own_zone: str = ""

    def as_json(self, kind: Type, value: str) -> str | None:
        """SQL for a value as DuckDB's JSON writer needs it; None to use it unchanged."""
        if kind.is_nested:
            return self._nested(kind, value)
        if kind.name == "FLOAT":  # through its own digits: 0.1, not 0.10000000149011612
            return f"CASE WHEN isfinite({value}) THEN CAST(CAST({value} AS VARCHAR) AS DOUBLE) END"
        if kind.name == "DOUBLE":
            return f"CASE WHEN isfinite({value}) THEN {value} END"
        return self._plain(kind, value)

    def as_text(self, kind: Type, value: str) -> str | None:
        """SQL for a value as a field of a delimited file; None to use it unchanged."""
        if kind.is_nested:
            formatted = self._nested(kind, value) or value
            return f"CASE WHEN {value} IS NOT NULL THEN CAST(to_json({formatted}) AS VARCHAR) END"
        if kind.name in {"FLOAT", "DOUBLE"}:
            return (
                f"CASE WHEN isfinite({value}) THEN CAST({value} AS VARCHAR) "
                f"WHEN isnan({value}) THEN 'NaN' "
                f"WHEN {value} > 0 THEN 'Infinity' WHEN {value} < 0 THEN '-Infinity' END"
            )
        return self._plain(kind, value)

    def _plain(self, kind: Type, value: str) -> str | None:
        convert = _PLAIN.get(kind.name)
        if kind.name == "TIMESTAMP WITH TIME ZONE":
            if self.own_zone:
                return _instant_in(value, self.own_zone)
            convert = _utc_instant if self.time_zone.upper() == "UTC" else _instant
        return convert(value) if convert else None

    def _nested(self, kind: Type, value: str) -> str | None:
        """Each kind needs different SQL functions to rebuild it from its formatted members."""
        convert = {
            "LIST": self._list,
            "ARRAY": self._list,
            "MAP": self._map,
            "STRUCT": self._struct,
            "TUPLE": self._tuple,
            "UNION": self._union,
        }[kind.name]
        return convert(kind, value)

    def _list(self, kind: Type, value: str) -> str | None:
        part = _variable(value)
        formatted = self.as_json(kind.children[0], part)
        return f"list_transform({value}, lambda {part}: {formatted})" if formatted else None

    def _map(self, kind: Type, value: str) -> str | None:
        """None when neither side needs formatting: DuckDB then writes the map unchanged."""
        part = _variable(value)
        key, item = f"{part}.key", f"{part}.value"
        formatted_key = self.as_json(kind.children[0], key)
        formatted_item = self.as_json(kind.children[1], item)
        if not formatted_key and not formatted_item:
            return None
        entry = f"{{'key': {formatted_key or key}, 'value': {formatted_item or item}}}"
        return f"map_from_entries(list_transform(map_entries({value}), lambda {part}: {entry}))"

    def _struct(self, kind: Type, value: str) -> str | None:
        """The `CASE` keeps NULL: a struct rebuilt from NULL members would not be NULL."""
        parts = [f"struct_extract({value}, {_text(name)})" for name in kind.names]
        formatted = [self.as_json(*pair) for pair in zip(kind.children, parts, strict=True)]
        if not any(formatted):
            return None
        members = ", ".join(
            f"{_text(name)}: {new or old}"
            for name, new, old in zip(kind.names, formatted, parts, strict=True)
        )
        return f"CASE WHEN {value} IS NOT NULL THEN {{{members}}} END"

    def _tuple(self, kind: Type, value: str) -> str | None:
        parts = [f"struct_extract({value}, {n})" for n in range(1, len(kind.children) + 1)]
        formatted = [self.as_json(*pair) for pair in zip(kind.children, parts, strict=True)]
        if not any(formatted):
            return None
        members = ", ".join(new or old for new, old in zip(formatted, parts, strict=True))
        return f"CASE WHEN {value} IS NOT NULL THEN row({members}) END"

    def _union(self, kind: Type, value: str) -> str | None:
        """The members have different types, so the branches of the `CASE` have JSON in common."""
        parts = [f"union_extract({value}, {_text(name)})" for name in kind.names]
        formatted = [self.as_json(*pair) for pair in zip(kind.children, parts, strict=True)]
        if not any(formatted):
            return None
        cases = " ".join(
            f"WHEN {_text(name)} THEN to_json({{{_text(name)}: {new or old}}})"
            for name, new, old in zip(kind.names, formatted, parts, strict=True)
        )
        return f"CASE CAST(union_tag({value}) AS VARCHAR) {cases} END"


def object_sql(names: Sequence[str], values: Sequence[str]) -> str:
    """A row as one JSON object, whose names may differ by case only."""
    members = (f"{_text(name)}, {value}" for name, value in zip(names, values, strict=True))
    return f"CAST(json_object({', '.join(members)}) AS VARCHAR)"


def _date(value: str) -> str:
    text = _as_text(value)
    return f"CASE WHEN {value} >= DATE '{_YEAR_1}' THEN {text} ELSE {_before_christ(value)} END"


def _local_time(value: str) -> str:
    return (
        f"CASE WHEN {value} >= TIMESTAMP '{_YEAR_1}' THEN {_with_t(value)} "
        f"ELSE {_before_christ(value)} END"
    )


def _with_t(value: str) -> str:
    return f"replace({_as_text(value)}, ' ', 'T')"


def _utc_instant(value: str) -> str:
    """In UTC this needs no calendar library, which makes it faster than plain `COPY`."""
    utc = f"replace(CAST(make_timestamp(epoch_us({value})) AS VARCHAR), ' ', 'T') || '+00:00'"
    ordinary = (
        f"{value} BETWEEN TIMESTAMPTZ '{_YEAR_1} 00:00:00+00' "
        f"AND TIMESTAMPTZ '9999-12-31 00:00:00+00'"
    )
    return f"CASE WHEN {ordinary} THEN {utc} ELSE {_before_christ(value)}{_minutes(value)} END"


def _instant(value: str) -> str:
    return (
        f"CASE WHEN {value} >= TIMESTAMPTZ '0001-01-02 00:00:00+00' THEN {_with_t(value)} "
        f"ELSE {_before_christ(value)} END{_minutes(value)}"
    )


def _instant_in(value: str, zone: str) -> str:
    """The wall clock of a zone, and how far it is from UTC. DuckDB's calendar knows no `+05:30`."""
    if zone[0] in "+-":
        shift = f"to_minutes({zone[0]}{60 * int(zone[1:3]) + int(zone[4:6])})"
        local = f"(timezone('UTC', {value}) + {shift})"
    else:
        local = f"timezone({_text(zone)}, {value})"
    minutes = f"((epoch_us({local}) - epoch_us({value})) // 60000000)"
    sign = f"CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END"
    offset = f"{sign} || printf('%02d:%02d', abs({minutes}) // 60, abs({minutes}) % 60)"
    return (
        f"CASE WHEN {local} BETWEEN TIMESTAMP '{_YEAR_1}' AND TIMESTAMP '9999-12-31' "
        f"THEN {_with_t(local)} || {offset} ELSE {_instant(value)} END"
    )


def _nanosecond_instant(value: str) -> str:
    return f"{_with_t(value)}{_minutes(value)}"


def _time_with_zone(value: str) -> str:
    return f"{_as_text(value)}{_minutes(value)}"


def _minutes(value: str) -> str:
    """`+02` becomes `+02:00`: DuckDB omits the minutes of whole hours, ISO 8601 does not."""
    return f" || CASE WHEN substr({_as_text(value)}, -3, 1) IN ('+', '-') THEN ':00' ELSE '' END"


def _before_christ(value: str) -> str:
    """`0044-03-15 (BC)` becomes `-0043-03-15`: ISO 8601 has a year 0. Other values get their T."""
    text = _as_text(value)
    year = f"CAST(split_part({text}, '-', 1) AS INTEGER)"
    rest = f"replace(replace(substr({text}, strpos({text}, '-')), ' (BC)', ''), ' ', 'T')"
    return (
        f"CASE WHEN contains({text}, ' (BC)') "
        f"THEN CASE WHEN {year} = 1 THEN '0000' ELSE printf('-%04d', {year} - 1) END || {rest} "
        f"ELSE replace({text}, ' ', 'T') END"
    )


def _as_text(value: str) -> str:
    return f"CAST({value} AS VARCHAR)"


def _blob(value: str) -> str:
    return f"base64({value})"


_PLAIN: dict[str, Callable[[str], str]] = {
    "BLOB": _blob,
    "DATE": _date,
    "TIME WITH TIME ZONE": _time_with_zone,
    "TIMESTAMP": _local_time,
    "TIMESTAMP_MS": _local_time,
    "TIMESTAMP_S": _local_time,
    "TIMESTAMP_NS": _with_t,
    "TIMESTAMP_NS WITH TIME ZONE": _nanosecond_instant,
}


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _variable(value: str) -> str:
    """A name for a lambda's parameter that the enclosing expression does not use."""
    depth = 0
    while f"part_{depth}" in value:
        depth += 1
    return f"part_{depth}"
