"""Results of two engines as values that can be compared, by Trino's types."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from queryrun.engines.base import result_columns
from queryrun.sql.compile import types as t
from queryrun.sql.compile.moments import read_moment
from queryrun.sql.compile.types import Type

TOLERANCE = 1e-9
APPROXIMATE_TOLERANCE = 0.1
REAL_TOLERANCE = 1e-6
"""Trino sums reals in single precision."""


_AS_TEXT = re.compile(
    r"time\(\d+\) with time zone|timestamp\((?:[7-9]|1\d)\)(?: with time zone)?"
    r"|time\((?:[7-9]|1\d)\)|\bchar\(\d+\)|\bipaddress\b"
)
"""Types whose values are text in our results."""


def same_type(trino: str, ours: Type) -> bool:
    """Whether a column's type is that of Trino, except for lengths, precisions and field names."""
    unnamed = re.sub(r"\bfield\d+ ", "", str(ours))  # how DuckDB calls what has no name
    return _loose(_AS_TEXT.sub("varchar", trino)) == _loose(unnamed)


def _loose(kind: str) -> str:
    kind = re.sub(r"varchar\(\d+\)", "varchar", kind.replace("unknown", "integer"))
    kind = re.sub(r"interval (day to second|year to month)", "varchar", kind, flags=re.I)
    kind = re.sub(r"decimal\((\d+), ?\1\)", _one_digit_more, kind)
    kind = re.sub(r"(timestamp|time)\(\d+\)", r"\1", kind)
    return kind.replace(" ", "").replace('"', "")


def _one_digit_more(match: re.Match[str]) -> str:
    """A digit in front of the point, which our decimals always have."""
    return f"decimal({int(match[1]) + 1},{match[1]})"


def differences(
    trino: Sequence[Sequence[Any]],
    ours: Sequence[Sequence[Any]],
    kinds: Sequence[Type],
    *,
    is_ordered: bool,
    tolerance: float,
) -> str:
    """The first difference of two results, in words; empty when there is none."""
    if len(trino) != len(ours):
        return f"{len(trino)} rows from Trino, {len(ours)} from us"
    left = [[from_trino(v, k) for v, k in zip(row, kinds, strict=True)] for row in trino]
    right = [[from_duckdb(v, k) for v, k in zip(row, kinds, strict=True)] for row in ours]
    if not is_ordered:
        left, right = sorted(left, key=_sort_key), sorted(right, key=_sort_key)
    allowed = [max(tolerance, REAL_TOLERANCE if kind == t.REAL else 0) for kind in kinds]
    for a, b in zip(left, right, strict=True):
        if not all(same(x, y, how) for x, y, how in zip(a, b, allowed, strict=True)):
            return f"Trino: {a}, we: {b}"
    return ""


def same_names(trino: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether columns have the same names, letter by letter; ours number repeated names."""
    return [column.name for column in result_columns(trino, trino)] == list(ours)


def _sort_key(row: Sequence[Any]) -> str:
    return repr([round(v, 6) if isinstance(v, float) else v for v in row])


def same(a: Any, b: Any, tolerance: float) -> bool:
    """Whether two values are equal; floating numbers within the tolerance."""
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if tolerance > TOLERANCE and isinstance(a, int) and isinstance(b, int):
        return math.isclose(a, b, rel_tol=tolerance)
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def from_trino(value: Any, kind: Type) -> Any:
    """A value as Trino's protocol writes it."""
    if value is None:
        return None
    match kind.name:
        case "real":
            return _single(float(value))
        case "double":
            return float(value)
        case "decimal":
            return Decimal(value)
        case "date":
            return _day(value)
        case "timestamp":
            return _moment(value)
        case t.TSTZ if _FAR.match(value):
            return _far_utc(value)
        case t.TSTZ:
            moment, _, zone = value.rpartition(" ")
            return _in_zone(_moment(moment), _zone(zone))
        case "time":
            return time.fromisoformat(value)
        case "varbinary":
            return base64.b64decode(value)
        case "json":
            return _json(value)
        case "array":
            return [from_trino(item, kind.parts[0]) for item in value]
        case "row":
            return [from_trino(v, k) for v, k in zip(value, kind.parts, strict=True)]
        case "map":
            key, item = kind.parts
            if key.parts:  # the protocol has no more than a text of such a key
                return sorted([from_trino(v, item) for v in value.values()], key=repr)
            pairs = [[from_trino(_key(k, key), key), from_trino(v, item)] for k, v in value.items()]
            return sorted(pairs, key=repr)
    return value


def _single(value: float) -> float:
    """The same number of single precision, however many digits of it were written."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _json(written: str) -> Any:
    """Trino's json_array_get makes JSON values that are none."""
    try:
        return json.loads(written)
    except ValueError:
        return ("no JSON", written)


def _key(written: str, kind: Type) -> Any:
    if t.is_integer(kind):
        return int(written)
    return {"true": True, "false": False}[written] if kind == t.BOOLEAN else written


def from_duckdb(value: Any, kind: Type) -> Any:
    """A value as DuckDB's Python client gives it."""
    if value is None:
        return None
    match kind.name:
        case "real":
            return _single(value)
        case "double":
            return float(value)
        case "date":
            return _day(str(value))
        case "timestamp" | t.TSTZ if isinstance(value, str):
            return _far_moment(value.removesuffix("+00"))
        case t.TSTZ:
            return value.astimezone(UTC)
        case "json":
            return json.loads(value)
        case "uuid":
            return str(value)
        case "array":
            return [from_duckdb(item, kind.parts[0]) for item in value]
        case "row":
            items = value.values() if isinstance(value, dict) else value
            return [from_duckdb(v, k) for v, k in zip(items, kind.parts, strict=True)]
        case "map":
            key, item = kind.parts
            if key.parts:
                values = value["value"] if "key" in value else list(value.values())
                return sorted([from_duckdb(v, item) for v in values], key=repr)
            pairs = [[from_duckdb(k, key), from_duckdb(v, item)] for k, v in value.items()]
            return sorted(pairs, key=repr)
    return value


_FAR = re.compile(r"[+-]")
"""What begins a moment beyond the years that Python has."""


def _far_moment(written: str) -> int:
    """Picoseconds of such a moment."""
    found = read_moment(_years_before_christ_signed(written))
    assert found is not None, written
    return found.picos


def _years_before_christ_signed(written: str) -> str:
    """DuckDB's client writes years before the first as BC."""
    match = re.match(r"(\d+)(-\d\d-\d\d) \(BC\)", written)
    return f"{1 - int(match[1]):05}{match[2]}{written[match.end() :]}" if match else written


def _day(written: str) -> tuple[int, ...]:
    """Year, month and day, also of years that Python's dates have not."""
    year, month, day = _years_before_christ_signed(written).rsplit("-", 2)
    return int(year), int(month), int(day)


class _InEither:
    """A time of day that a zone has twice, when its clocks are set back: Trino's protocol does not
    say which of the two it is."""

    def __init__(self, moments: Sequence[datetime]) -> None:
        self._moments = moments

    def __eq__(self, other: object) -> bool:
        return other in self._moments

    def __hash__(self) -> int:
        raise TypeError("it is one of two")

    def __repr__(self) -> str:
        return repr(self._moments[0])


def _in_zone(moment: Any, zone: Any) -> Any:
    one, other = (moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    is_skipped = one.astimezone(zone).replace(tzinfo=None) != moment
    return one if one == other or is_skipped else _InEither((one, other))


def _far_utc(written: str) -> int:
    moment, _, name = written.rpartition(" ")
    edge = datetime(2, 1, 1) if written.startswith("-") else datetime(9998, 1, 1)
    shift = edge.replace(tzinfo=_zone(name)).utcoffset() or timedelta()
    return _far_moment(moment) - int(shift.total_seconds()) * 10**12


def _moment(written: str) -> Any:
    if _FAR.match(written):
        return _far_moment(written)
    whole, _, fraction = written.partition(".")
    micros = int((fraction + "000000")[:6])
    return datetime.fromisoformat(whole) + timedelta(microseconds=micros)


def _zone(name: str) -> Any:
    match = re.fullmatch(r"([+-])(\d\d):(\d\d)", name)
    if match is None:
        return ZoneInfo(name)
    shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(shift if match[1] == "+" else -shift)
