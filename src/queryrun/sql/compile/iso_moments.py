"""Moments in ISO 8601, as Joda reads them: dates, weeks or days of a year, a time, an offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

_ISO = re.compile(
    r"\+?(?P<year>\d{1,9})(?:-W(?P<week>\d{1,2})(?:-(?P<weekday>[1-7]))?|-(?P<day_of_year>\d{3})"
    r"|-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?)?"
    r"(?:T(?:(?P<hour>\d{1,2})(?:(?P<of_hour>[.,]\d{1,9})|:(?P<minute>\d{1,2})"
    r"(?:(?P<of_minute>[.,]\d{1,9})|:(?P<second>\d{1,2})(?:[.,](?P<digits>\d{1,9}))?)?)?)?"
    r"(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
_DATE_TIME = re.compile(
    r"((?:\d{4}|\+\d{5,9})-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)\.?"
    r"(Z|[+-]\d\d:\d\d)?(?::00)?",
    re.I,
)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class IsoMoment:
    """`nanos` since 1970-01-01 on the clock of `zone`: UTC, an offset, or empty."""

    nanos: int
    zone: str

    @property
    def offset_minutes(self) -> int:
        """Of the zone; none for an empty one."""
        if self.zone[:1] not in {"+", "-"}:
            return 0
        minutes = int(self.zone[1:3]) * 60 + int(self.zone[4:6])
        return -minutes if self.zone[0] == "-" else minutes


def read_iso(text: str) -> IsoMoment | None:
    """The moment; None for what is none."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    try:
        day = _day(match)
    except ValueError:
        return None
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        return None
    seconds = (day - _EPOCH).days * 86_400 + hour * 3600 + minute * 60 + second
    nanos = seconds * 10**9 + int((match["digits"] or "").ljust(9, "0"))
    nanos += _share(match["of_hour"], 3600) + _share(match["of_minute"], 60)
    return IsoMoment(nanos, _zone(match["zone"] or ""))


def read_iso_date_time(text: str) -> IsoMoment | None:
    """The same of what `java.time` calls an ISO_DATE_TIME: a whole date and at least minutes."""
    match = _DATE_TIME.fullmatch(text)
    return None if match is None else read_iso(f"{match[1]}{match[2] or ''}".upper())


def _share(written: str | None, seconds: int) -> int:
    """Nanoseconds of a fraction of an hour or a minute, to the millisecond."""
    if written is None:
        return 0
    scale: int = 10 ** len(written[1:])
    return int(written[1:]) * seconds * 1000 // scale * 10**6


def _day(match: re.Match[str]) -> date:
    year = int(match["year"])
    if match["week"]:
        return date.fromisocalendar(year, int(match["week"]), int(match["weekday"] or 1))
    if match["day_of_year"]:
        found = date(year, 1, 1) + timedelta(days=int(match["day_of_year"]) - 1)
        if found.year != year or match["day_of_year"] == "000":
            raise ValueError(match[0])
        return found
    return date(year, int(match["month"] or 1), int(match["day"] or 1))


def _zone(written: str) -> str:
    if written in {"", "Z"}:
        return "UTC" if written else ""
    minutes = written[3:].lstrip(":") or "00"
    found = f"{written[:3]}:{minutes}"
    return "UTC" if found in {"+00:00", "-00:00"} else found
