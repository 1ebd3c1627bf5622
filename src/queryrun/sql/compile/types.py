"""Trino's types: how they print, and which one fits two values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

UNSUPPORTED = "unsupported"
"""A column's type that Trino lacks: the column cannot be named. `names` has the engine's word."""
MAX_CHAR = 65_536
"""The length of a char that a varchar of unknown length becomes."""
VARIES = "?"
"""The zone of values that do not all have the same one."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type. `params`: precision and scale, or a nested type's parts; `names`: a row's fields.

    DuckDB's TIMESTAMPTZ has no zone of its own, Trino's has one per value. `zone` is what we
    know of it: empty for the session's, a zone's name, or `VARIES`.
    """

    name: str
    params: tuple[int, ...] = ()
    parts: tuple[Type, ...] = ()
    names: tuple[str, ...] = ()
    zone: str = ""

    def __str__(self) -> str:
        return trino_name(self)


BOOLEAN = Type("boolean")
TINYINT = Type("tinyint")
SMALLINT = Type("smallint")
INTEGER = Type("integer")
BIGINT = Type("bigint")
REAL = Type("real")
DOUBLE = Type("double")
VARCHAR = Type("varchar")
VARBINARY = Type("varbinary")
DATE = Type("date")
JSON = Type("json")
UUID = Type("uuid")
UNKNOWN = Type("unknown")
IPADDRESS = Type("ipaddress")
DAYS = Type("interval day to second")
MONTHS = Type("interval year to month")
TSTZ = "timestamp with time zone"
TIMETZ = "time with time zone"

_INTEGERS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
_ORDER = ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double")


def decimal(precision: int, scale: int) -> Type:
    """`decimal(precision, scale)`, the precision cut to what there is."""
    return Type("decimal", (min(precision, 38), scale))


def timestamp(precision: int) -> Type:
    """`timestamp(precision)`."""
    return Type("timestamp", (precision,))


def timestamp_tz(precision: int, zone: str = "") -> Type:
    """`timestamp(precision) with time zone`."""
    return Type(TSTZ, (precision,), zone=zone)


def time(precision: int) -> Type:
    """`time(precision)`."""
    return Type("time", (precision,))


def time_tz(precision: int, zone: str = "") -> Type:
    """`time(precision) with time zone`, with the offset that all values have."""
    return Type(TIMETZ, (precision,), zone=zone)


def is_fine(kind: Type) -> bool:
    """Whether it is finer than a microsecond: engines have no such type."""
    return kind.name in {"timestamp", TSTZ, "time"} and kind.params[0] > 6


def char(length: int) -> Type:
    """`char(length)`: carried without the spaces at its end, which it is printed with."""
    return Type("char", (length,))


def array(element: Type) -> Type:
    """`array(element)`."""
    return Type("array", parts=(element,))


def map_of(key: Type, value: Type) -> Type:
    """`map(key, value)`."""
    return Type("map", parts=(key, value))


def row(parts: Sequence[Type], names: Sequence[str]) -> Type:
    """`row(name type, …)`; a field without a name has an empty one."""
    return Type("row", parts=tuple(parts), names=tuple(names))


def is_integer(kind: Type) -> bool:
    """tinyint to bigint."""
    return kind.name in _INTEGERS


def is_number(kind: Type) -> bool:
    """Anything to calculate with."""
    return kind.name in _ORDER


def is_floating(kind: Type) -> bool:
    """real or double."""
    return kind.name in {"real", "double"}


def is_moment(kind: Type) -> bool:
    """date or a timestamp of either sort."""
    return kind.name in {"date", "timestamp", TSTZ}


def has_map(kind: Type) -> bool:
    """Whether it is a map or has one inside: equal ones may have their keys in another order."""
    return kind.name == "map" or any(map(has_map, kind.parts))


def as_decimal(kind: Type) -> Type:
    """The decimal type that holds every value of an integer type; decimals as they are."""
    return decimal(_INTEGERS[kind.name], 0) if is_integer(kind) else kind


def trino_name(kind: Type) -> str:
    """A type as Trino displays it in `typeof`, `SHOW COLUMNS` and most messages: names of fields
    are not quoted, so a type with odd ones cannot be read back."""
    return _named(kind, lambda field: field)


def signature(kind: Type) -> str:
    """A type as Trino writes it where it is read back: names of fields are quoted."""
    return _named(kind, _quoted)


def _named(kind: Type, field_name: Callable[[str], str]) -> str:
    parts = [_named(part, field_name) for part in kind.parts]
    if kind.name == "row":
        fields = zip(kind.names, parts, strict=True)
        return "row(" + ", ".join(f"{field_name(n)} {t}" if n else t for n, t in fields) + ")"
    if parts:
        return f"{kind.name}({', '.join(parts)})"
    if kind.name == "decimal":
        return f"decimal({kind.params[0]},{kind.params[1]})"
    if kind.name in {"timestamp", "time", "char"}:
        return f"{kind.name}({kind.params[0]})"
    if kind.name in {TSTZ, TIMETZ}:
        return f"{kind.name.split()[0]}({kind.params[0]}) with time zone"
    return kind.name


def field_names(kind: Type) -> list[str]:
    """A row's fields as engines call them: distinct, whatever their case.

    Those without a name get their number, those whose name comes twice get one behind it.
    """
    taken: set[str] = set()
    found = []
    for number, own in enumerate(name or f"field{n}" for n, name in enumerate(kind.names)):
        new = own if own.lower() not in taken else f"{own}_{number}"
        taken.add(new.lower())
        found.append(new)
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- which type fits ------------------------------------------------------------------------


def common_number(a: Type, b: Type) -> Type:
    """The type that two numbers are brought to."""
    return a if a == b else _common_number(a, b)


def common_moment(a: Type, b: Type) -> Type:
    """The type that two dates or timestamps are brought to."""
    return a if a == b else _common_moment(a, b)


def common(a: Type, b: Type) -> Type | None:
    """The type that Trino brings two values to before it compares or unites them; None: none."""
    if a == b:
        return a
    if a.name == "unknown":
        return b
    if b.name == "unknown":
        return a
    if is_number(a) and is_number(b):
        return _common_number(a, b)
    if is_moment(a) and is_moment(b):
        return _common_moment(a, b)
    if a.name == b.name == "time":
        return max(a, b, key=lambda kind: kind.params)
    if {a.name, b.name} <= {"char", "varchar"}:
        return char(max(kind.params[0] if kind.params else MAX_CHAR for kind in (a, b)))
    if {a.name, b.name} <= {"time", TIMETZ}:
        return _common_clock(a, b)
    if a.name == b.name and a.parts and len(a.parts) == len(b.parts):
        return _common_nested(a, b)
    return None


def _common_number(a: Type, b: Type) -> Type:
    high = max(a, b, key=lambda kind: _ORDER.index(kind.name))
    if high.name != "decimal":
        return high
    a, b = as_decimal(a), as_decimal(b)
    scale = max(a.params[1], b.params[1])
    whole = max(a.params[0] - a.params[1], b.params[0] - b.params[1])
    return decimal(whole + scale, scale)


def _common_moment(a: Type, b: Type) -> Type:
    precision = max(kind.params[0] if kind.params else 0 for kind in (a, b))
    zoned = [kind for kind in (a, b) if kind.name == TSTZ]
    if not zoned:
        return timestamp(precision)
    zones = {kind.zone if kind.name == TSTZ else "" for kind in (a, b)}
    return timestamp_tz(precision, zones.pop() if len(zones) == 1 else VARIES)


def _common_clock(a: Type, b: Type) -> Type:
    """Of times of which one has a zone."""
    zones = {kind.zone for kind in (a, b) if kind.name == TIMETZ}
    return time_tz(max(a.params[0], b.params[0]), zones.pop() if len(zones) == 1 else VARIES)


def _common_nested(a: Type, b: Type) -> Type | None:
    parts = [common(x, y) for x, y in zip(a.parts, b.parts, strict=True)]
    if any(part is None for part in parts):
        return None
    names = a.names if a.names == b.names else tuple("" for _ in a.names)
    return replace(a, parts=tuple(part for part in parts if part is not None), names=names)


def can_become(given: Type, target: Type) -> bool:
    """Whether Trino brings a value from one type to the other without being told."""
    if given.name == "char" and target.name == "varchar":
        return True
    found = common(given, target)
    if found is None:
        return False
    return bare(found) == bare(target) or (
        target.name == "decimal" == found.name and found.params[1] <= target.params[1]
    )


def bare(kind: Type) -> Type:
    """The type without the zone, which is no part of it."""
    return replace(kind, zone="") if kind.zone else kind
