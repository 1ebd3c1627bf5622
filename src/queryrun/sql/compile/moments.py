"""Moments, times and zones as Trino writes them: read, checked, and counted in picoseconds."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type

PATTERN = r"([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9](\.[0-9]{1,12})?)?"
UNITS = {"millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000}
"""Microseconds."""
_DATE_UNITS = frozenset(["day", "week", "month", "quarter", "year"])

_DIGITS: Final = 12
DAY = 86_400 * 10**12
"""Picoseconds."""
_MAX_ZONED = 2**51 * 10**9
"""Picoseconds: Trino keeps the milliseconds of a moment with a zone in 52 bits."""
_FROM_UTC = re.compile(r"^(?:UTC|GMT|UT)(?=[+-]\d)")
_OFFSET = re.compile(r"[+-][0-9]{1,2}(?::[0-5][0-9])?")
_MAX_OFFSET = 14 * 60
"""Minutes from UTC."""
MAX_DIGITS = 12
"""Of a second."""
ZONED = re.compile(
    r"^(?P<moment>[^A-Za-z]*?)(?<!\s)\s*+"
    r"(?P<zone>[A-Za-z][\w/+-]*(?::\d{2})?|[+-]\d{1,2}(:\d{2})?)$"
)
"""Of a text without blanks around it. Blanks in it are looked through once, not from each."""
_MOMENT = re.compile(
    r"(?P<year>[+-]?\d{4,6})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?: (?P<hour>\d{1,2}):(?P<minute>\d{1,2})"
    r"(?::(?P<second>\d{1,2})(?:\.(?P<digits>\d{1,12}))?)?)?"
)
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Written:
    """A moment as written: picoseconds since 1970-01-01 00:00, and how many digits it has."""

    picos: int
    precision: int


def wrong_unit(unit: str, kind: Type) -> str:
    """Trino's words where values of this type are not counted in the unit; empty if they are."""
    if kind.name in {"time", t.TIMETZ}:
        return "" if unit in UNITS else f"'{unit}' is not a valid TIME field"
    if kind == t.DATE:
        return "" if unit in _DATE_UNITS else f"'{unit}' is not a valid DATE field"
    return "" if unit in {*UNITS, *_DATE_UNITS} else f"'{unit}' is not a valid TIMESTAMP field"


def read_moment(written: str) -> Written | None:
    """`2020-05-01 12:34:56.123456789`; None for what is none."""
    match = _MOMENT.fullmatch(written)
    if match is None:
        return None
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _LENGTHS[month - 1] + (is_leap and month == 2):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    digits = match["digits"] or ""
    seconds = _days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    fraction = int(digits.ljust(_DIGITS, "0"))
    return Written(seconds * 10**_DIGITS + fraction, len(digits))


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the calendar without an end (Hinnant's `days_from_civil`)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def clock_picos(written: str) -> int | None:
    """Picoseconds since midnight of `10:11:12.123456789`; None for what is none."""
    if not re.fullmatch(PATTERN, written):
        return None
    whole, _, digits = written.partition(".")
    hour, minute, second = (int(part) for part in [*whole.split(":"), "0"][:3])
    seconds = hour * 3600 + minute * 60 + second
    return seconds * 10**_DIGITS + int(digits.ljust(_DIGITS, "0"))


def offset_minutes(zone: str) -> int:
    """The minutes of `+08:35`, or of a named zone now."""
    if zone == t.VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    if zone[:1] in {"+", "-"}:
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        return -minutes if zone[0] == "-" else minutes
    shift = datetime.now(UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return int(shift.total_seconds()) // 60 if shift else 0


def offset_name(minutes: int) -> str:
    """`+08:35`."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def zone_literal(written: str) -> Typed | None:
    """`12:34:56.789+08:35`; None for what is none."""
    match = re.fullmatch(r"(?P<clock>[0-9:.]+) ?(?P<sign>[+-])(?P<h>\d{1,2}):(?P<m>\d\d)", written)
    total = clock_picos(match["clock"]) if match else None
    if match is None or total is None or int(match["m"]) > 59:
        return None
    if int(match["h"]) * 60 + int(match["m"]) > 14 * 60:
        return None
    zone = f"{match['sign']}{int(match['h']):02}:{match['m']}"
    precision = len(match["clock"].partition(".")[2])
    utc = (total - offset_minutes(zone) * 60 * 10**_DIGITS) % DAY
    return Typed(f"CAST({utc} AS BIGINT)", t.time_tz(precision, zone), written)


def zone_exists(zone: str) -> bool:
    """Whether it is an offset of at most 14 hours, or a name that the list of zones has."""
    if zone[:1] not in {"+", "-"}:
        return zone.lower() in _zone_names()
    written = _OFFSET.fullmatch(zone)
    return bool(written) and abs(offset_minutes(zone_name(zone))) <= _MAX_OFFSET


@cache
def _zone_names() -> dict[str, str]:
    """By their names in lower case: Trino finds them without regard to it. `Z` is UTC's."""
    return {name.lower(): name for name in zoneinfo.available_timezones()} | {"z": "UTC"}


@dataclass(frozen=True, slots=True)
class ReadMoment:
    """A written moment as it was read: `text` without its zone, which is empty for none."""

    moment: Written
    zone: str
    text: str

    @property
    def micros(self) -> int:
        """Whole microseconds from 1970, of the reading of the clock."""
        return self.moment.picos // 10**6


def read_zoned(written: str) -> ReadMoment | None:
    """A moment and the zone behind it (`2020-01-01 10:00 UTC`); None: it is none."""
    match = ZONED.match(written.strip())
    zone, formatted = (match["zone"], match["moment"].strip()) if match else ("", "")
    found = read_moment(formatted) if match else None
    if found is None:
        zone, formatted = "", written.strip()
        found = read_moment(formatted)
    if found is None or (match and abs(found.picos) >= _MAX_ZONED):
        return None
    own = _FROM_UTC.sub("", zone)
    zone = zone_name(own)
    if zone.lower() == own.lower() and zone != own:
        return None  # java.time's names have their case, as AT TIME ZONE's have not
    if ("/" in zone or zone[:1] in {"+", "-"}) and not zone_exists(zone):
        return None
    return ReadMoment(found, zone, formatted)


def zone_name(written: str) -> str:
    """A zone's name as the list of zones has it; an offset as `+05:30`. What is neither stays as
    it is (`zone_exists`)."""
    if not _OFFSET.fullmatch(written):
        return _zone_names().get(written.lower(), written)
    hours, _, minutes = written[1:].partition(":")
    return f"{written[0]}{int(hours):02}:{minutes or '00'}"
