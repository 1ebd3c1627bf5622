"""Rows of Trino's JSON in, Arrow batches out: exactly, or not at all.

Whole columns are converted at once by Arrow where its rules are Trino's; years before 1 or after
9999, not-a-number and infinities go value by value. What Arrow's calendar cannot tell for sure
(a local time that came twice, when clocks were set back) is refused, never guessed.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from queryrun.engines.trino.types import Kind, ResultColumn
from queryrun.errors import FailureCode, RunFailed

_DAY_US = 86_400_000_000
_EPOCH_DAYS = 719_468
"""From March 1 of year 0 to the epoch."""
_DATE = re.compile(r"([+-]?\d+)-(\d\d)-(\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d(?::\d\d)?")


def schema_of(columns: Sequence[ResultColumn]) -> Any:
    """The Arrow schema; columns are numbered, because names may come twice."""
    return pa.schema([(f"c{number}", column.kind.arrow) for number, column in enumerate(columns)])


def batches(
    columns: Sequence[ResultColumn], schema: Any, pages: Iterable[list[list[Any]]]
) -> Iterator[Any]:
    """One record batch per page that has rows."""
    for rows in pages:
        batch = _batch(columns, schema, rows) if rows else None
        del rows  # as objects a page is ten times its size: not two of them at once
        if batch is not None:
            yield batch


def _batch(columns: Sequence[ResultColumn], schema: Any, rows: list[list[Any]]) -> Any:
    by_column = zip(*rows, strict=True)
    arrays = [
        array_of(column.kind, values) for column, values in zip(columns, by_column, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def array_of(kind: Kind, values: Sequence[Any]) -> Any:
    """One column's values as an Arrow array of `kind.arrow`.

    Raises `RunFailed` for a value that cannot be told exactly.
    """
    return _READINGS[kind.reading](kind, values)


def _as_is(kind: Kind, values: Sequence[Any]) -> Any:
    return pa.array(values, kind.arrow)


def _text(kind: Kind, values: Sequence[Any]) -> Any:
    """Types that are strange to us are text already, or JSON."""
    return pa.array(
        [v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values],
        kind.arrow,
    )


def _float(kind: Kind, values: Sequence[Any]) -> Any:
    """Not-a-number and infinities are strings in Trino's JSON; Python reads their names."""
    try:
        return pa.array(values, kind.arrow)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else float(v) for v in values], kind.arrow)


def _binary(kind: Kind, values: Sequence[Any]) -> Any:
    return pa.array([None if v is None else b64decode(v) for v in values], kind.arrow)


def _decimal(kind: Kind, values: Sequence[Any]) -> Any:
    return pa.array(values, pa.string()).cast(kind.arrow)


def _date(kind: Kind, values: Sequence[Any]) -> Any:
    texts = pa.array(values, pa.string())
    if _is_ordinary(texts, len("2020-01-01")):
        return texts.cast(kind.arrow)
    return pa.array([None if v is None else _days(v) for v in values], pa.int32()).cast(kind.arrow)


def _time(kind: Kind, values: Sequence[Any]) -> Any:
    return pa.array([None if v is None else _time_us(v) for v in values], pa.int64()).cast(
        kind.arrow
    )


def _timestamp(kind: Kind, values: Sequence[Any]) -> Any:
    texts = pa.array(values, pa.string())
    if _is_ordinary(texts, None):
        return texts.cast(kind.arrow)
    return pa.array([None if v is None else _local_us(v) for v in values], pa.int64()).cast(
        kind.arrow
    )


def _instant(kind: Kind, values: Sequence[Any]) -> Any:
    """A local time and its zone, one zone after another; most columns have but one."""
    parted = [(None, None) if v is None else v.rsplit(" ", 1) for v in values]
    zones = {zone for _, zone in parted if zone is not None}
    found: Any = pa.nulls(len(values), kind.arrow)
    for zone in sorted(zones):
        local = _timestamp(_LOCAL, [time if own == zone else None for time, own in parted])
        found = pc.coalesce(found, _at_zone(local, zone).cast(kind.arrow))
    return found


def _at_zone(local: Any, zone: str) -> Any:
    """A local time that occurs twice or never has no instant, so it is an error, not a guess."""
    if zone in {"UTC", "Z"}:
        return pc.assume_timezone(local, "UTC")
    if _OFFSET.fullmatch(zone):
        return pc.assume_timezone(pc.subtract(local, _offset(zone)), "UTC")
    try:
        return pc.assume_timezone(local, zone, ambiguous="raise", nonexistent="raise")
    except pa.ArrowInvalid as error:
        raise RunFailed.of(
            FailureCode.NOT_SUPPORTED,
            f"A timestamp of the time zone {zone} cannot be told for sure: there its local time "
            "came twice, or not at all. Select it AT TIME ZONE 'UTC'",
        ) from error


def _offset(zone: str) -> Any:
    hours, minutes, *seconds = (int(part) for part in zone[1:].split(":"))
    size = (hours * 60 + minutes) * 60 + (seconds[0] if seconds else 0)
    microseconds = size * 1_000_000 * (-1 if zone[0] == "-" else 1)
    return pa.scalar(microseconds, pa.duration("us"))


def _array(kind: Kind, values: Sequence[Any]) -> Any:
    parts = array_of(kind.parts[0], list(chain.from_iterable(v for v in values if v is not None)))
    return pa.ListArray.from_arrays(_offsets(values), parts, type=kind.arrow)


def _map(kind: Kind, values: Sequence[Any]) -> Any:
    """Keys are strings in Trino's JSON, whatever their type."""
    key, value = kind.parts
    given = [v for v in values if v is not None]
    keys = array_of(key, [_key(key, k) for entry in given for k in entry])
    items = array_of(value, [item for entry in given for item in entry.values()])
    return pa.MapArray.from_arrays(_offsets(values), keys, items, type=kind.arrow)


def _key(kind: Kind, text: str) -> Any:
    if pa.types.is_boolean(kind.arrow):
        return text == "true"
    if pa.types.is_integer(kind.arrow):
        return int(text)
    return text


def _row(kind: Kind, values: Sequence[Any]) -> Any:
    """A row that is NULL needs a value in the array of each field, which the mask then hides."""
    missing = [None] * len(kind.parts)
    by_field = zip(*(missing if v is None else v for v in values), strict=True)
    columns = list(by_field) or [()] * len(kind.parts)
    parts = [array_of(part, column) for part, column in zip(kind.parts, columns, strict=True)]
    fields = [kind.arrow.field(number) for number in range(len(kind.parts))]
    mask = pa.array([v is None for v in values], pa.bool_())
    return pa.StructArray.from_arrays(parts, fields=fields, mask=mask)


def _offsets(values: Sequence[Any]) -> Any:
    """Where each list ends in the one of all parts; a missing one has no beginning."""
    offsets: list[int | None] = []
    at = 0
    for value in values:
        offsets.append(None if value is None else at)
        at += len(value) if value is not None else 0
    return pa.array([*offsets, at], pa.int32())


# --- the calendar ---------------------------------------------------------------------------


def _is_ordinary(texts: Any, length: int | None) -> bool:
    """Whether every year has four digits and no sign, as Arrow reads them."""
    if length is not None:
        lengths = pc.min_max(pc.binary_length(texts)).as_py()
        return lengths["min"] in {None, length} and lengths["max"] in {None, length}
    dashes = pc.min_max(pc.find_substring(texts, "-")).as_py()
    return dashes["min"] in {None, 4} and dashes["max"] in {None, 4}


def _days(text: str) -> int:
    """Days since the epoch, by the calendar that ISO 8601 extends to all years."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("a date that is none")
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - _EPOCH_DAYS


def _time_us(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    whole, _, fraction = seconds.partition(".")
    total = (int(hours) * 60 + int(minutes)) * 60 + int(whole)
    return total * 1_000_000 + int(fraction.ljust(6, "0"))


def _local_us(text: str) -> int:
    day, _, time = text.partition(" ")
    return _days(day) * _DAY_US + _time_us(time)


_LOCAL = Kind("timestamp", pa.timestamp("us"), "TIMESTAMP")
_READINGS: dict[str, Callable[[Kind, Sequence[Any]], Any]] = {
    "as_is": _as_is,
    "text": _text,
    "float": _float,
    "binary": _binary,
    "decimal": _decimal,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "instant": _instant,
    "array": _array,
    "map": _map,
    "row": _row,
}
