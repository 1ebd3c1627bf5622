"""Casts between dates, times and timestamps, from texts and to them."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime, timedelta

from queryrun.sql.compile import moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import PATTERNS, WHITE_SPACE, CastSite
from queryrun.sql.compile.moments import MAX_DIGITS, ZONED, read_zoned, zone_exists
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import clocks, fine, types
from queryrun.sql.duckdb.cast_checks import FAR, FAR_YEAR, checked, failing_as, otherwise, plain
from queryrun.sql.duckdb.values import cast, picos
from queryrun.sql.trino.spelling import text

_ZONE_AFTER = r"([0-9])( ?[+-][0-9]{2}:[0-9]{2}| [A-Z][A-Za-z_]+/[A-Za-z_/]+| UTC)$"
_BLANKS = "||".join(f"chr({code})" for code in WHITE_SPACE)
_MICROS = 6
"""Digits of a second that DuckDB's timestamps have."""


def moment_of_text(value: Typed, target: Type, site: CastSite) -> Typed:
    """A text that is not written out is read to the microsecond and then to the picosecond."""
    if isinstance(value.constant, str):
        written = value.constant.strip()
        zoned = ZONED.match(written)
        found = moments.read_moment(written)
        if found is None and zoned and zone_exists(zoned["zone"]):
            found = moments.read_moment(zoned["moment"].strip())
        if found is not None:
            return to_precision(_of_picos(found), target)
    value = _without_zone(value)
    if target.params[0] <= _MICROS:
        micros = checked(value, target, "timestamp", site)
        if target.params[0] == _MICROS:
            return Typed(_with_seventh_digit(micros.sql, value), target)
        return Typed(rounded(micros.sql, target.params[0]), target)
    whole = checked(_cut_to_micros(value), target=t.timestamp(6), pattern="timestamp", site=site)
    exact = Typed(f"({picos(whole)} + {_digits_below(value.sql)})", t.timestamp(MAX_DIGITS))
    return to_precision(exact, target)


def date_of_text(value: Typed, target: Type, site: CastSite) -> Typed:
    """With blanks around it and a sign in front, which DuckDB does not read."""
    if isinstance(value.constant, str):
        if re.fullmatch(FAR_YEAR, value.constant, re.S):
            raise UnsupportedCastError(FAR)
        bare = value.constant.strip("".join(map(chr, WHITE_SPACE)))
        if re.fullmatch(PATTERNS["date"], bare):
            return plain(text(bare.removeprefix("+")), target, site)
        return checked(value, target, "date", site)
    bare = f"trim({value.sql}, {_BLANKS})"
    unsigned = f"ltrim({bare}, '+')"
    sql = (
        f"CASE WHEN regexp_full_match({bare}, {text(PATTERNS['date'])}) "
        f"THEN {plain(unsigned, target, site).sql} {otherwise(value.sql, target, site)} END"
    )
    return Typed(f"({sql})", target)


def _without_zone(value: Typed) -> Typed:
    """A zone at the end of a text counts for nothing where there is none in the type."""
    return Typed(f"regexp_replace({value.sql}, {text(_ZONE_AFTER)}, '\\1')", value.type)


def _with_seventh_digit(sql: str, written: Typed) -> str:
    """Half a microsecond and more is one, where DuckDB cuts the digits off."""
    finer = text(r"\.[0-9]{6}[5-9]")
    more = f"CASE WHEN regexp_matches({written.sql}, {finer}) THEN 1 ELSE 0 END"
    return f"({sql} + to_microseconds({more}))"


def _cut_to_micros(value: Typed) -> Typed:
    return Typed(f"regexp_replace({value.sql}, '([.][0-9]{{6}})[0-9]{{1,6}}$', '\\1')", t.VARCHAR)


def _digits_below(sql: str) -> str:
    """Picoseconds out of the digits behind the microseconds of a text."""
    digits = f"regexp_extract({sql}, '[.][0-9]{{6}}([0-9]{{1,6}})$', 1)"
    return f"CAST(rpad({digits}, 6, '0') AS BIGINT)"


def _of_picos(found: moments.Written) -> Typed:
    """A timestamp that is written out, in the type that its digits need."""
    kind = t.timestamp(found.precision)
    if found.precision > 6:
        return Typed(f"CAST({found.picos} AS HUGEINT)", kind)
    return Typed(fine.micros_literal(found.picos // 10**6), kind)


def to_precision(value: Typed, target: Type) -> Typed:
    """A time or timestamp with other digits, rounded half up; name and zone stay."""
    kind, precision = value.type, target.params[0]
    if precision >= kind.params[0]:
        finer = Type(kind.name, (precision,), zone=kind.zone)
        return cast(value, finer) if t.is_fine(finer) else Typed(value.sql, finer)
    if t.is_fine(kind) or kind.name == t.TIMETZ:
        return fine.rounded(value, precision)
    rounder = clocks.rounded if kind.name == "time" else rounded
    return Typed(rounder(value.sql, precision), Type(kind.name, (precision,), zone=kind.zone))


def zoned_of_text(value: Typed, target: Type, site: CastSite) -> Typed:
    """`CAST(text AS timestamp with time zone)`, of a literal: its zone must be known before."""
    if not isinstance(value.constant, str):
        raise UnsupportedCastError(f"A cast from varchar to {target} (of anything but a literal)")
    found = zoned_literal(value.constant, site.zone)
    if found is None:
        message = f"Value cannot be cast to timestamp: {value.constant}"
        return Typed(_never(message, target, site), target)
    return to_precision(found, target)


def zoned_literal(written: str, session_zone: str) -> Typed | None:
    """A moment with its zone, or in the session's; None: it is none."""
    read = read_zoned(written)
    if read is None:
        return None
    found, zone = read.moment, read.zone
    if zone[:1] in {"+", "-"}:
        utc = found.picos - moments.offset_minutes(zone) * 60 * 10**12
        sql = f"timezone('UTC', {fine.micros_literal(utc // 10**6)})"
    else:
        moment = fine.micros_literal(read.micros)
        sql = f"timezone({text(zone or session_zone)}, {moment})"
        if is_doubtful(read.micros, zone or session_zone):
            sql = in_named_zone(moment, zone or session_zone)
    whole = Typed(sql, t.timestamp_tz(min(found.precision, 6), zone))
    if found.precision <= 6:
        return whole
    kind = t.timestamp_tz(found.precision, zone)
    return Typed(f"({picos(whole)} + {found.picos % 10**6})", kind)


def rounded(sql: str, precision: int) -> str:
    """A timestamp rounded half up to so many digits of a second."""
    if precision >= 6:
        return sql
    half, unit = 5 * 10 ** (5 - precision), 10 ** (6 - precision)
    later = f"({sql} + to_microseconds({half}))"
    if precision in {0, 3}:
        return f"date_trunc('{'second' if precision == 0 else 'millisecond'}', {later})"
    return f"({later} - to_microseconds(microsecond({later}) % {unit}))"


def local(value: Typed) -> str:
    """The wall clock's reading of a timestamp with time zone, in its own zone."""
    if value.type.zone == t.VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    if value.type.zone.startswith(("+", "-")):
        sign, hours, minutes = value.type.zone[0], value.type.zone[1:3], value.type.zone[4:6]
        shift = f"to_minutes({sign}{int(hours) * 60 + int(minutes)})"
        return f"(timezone('UTC', {value.sql}) + {shift})"
    if value.type.zone:
        return f"timezone({text(value.type.zone)}, {value.sql})"
    return f"CAST({value.sql} AS TIMESTAMP)"


def between_moments(value: Typed, target: Type) -> Typed:
    """A timestamp with other digits, with a zone or without."""
    given = value.type
    if given.name == t.TSTZ and target.name == "timestamp":
        value = wall_clock(value)
    elif given.name == "timestamp" and target.name == t.TSTZ:
        value = cast(value, t.timestamp_tz(given.params[0]))
    return to_precision(value, target)


def wall_clock(value: Typed) -> Typed:
    """What `local` says, with the digits of the value."""
    kind = t.timestamp(value.type.params[0])
    if not t.is_fine(value.type):
        return Typed(local(value), kind)
    return fine.refined(Typed(local(fine.coarse(value)), t.timestamp(6)), fine.below(value), kind)


def from_moment(value: Typed, target: Type, site: CastSite) -> Typed:
    """A date or timestamp as a text, a date, or a timestamp at midnight."""
    given = value.type
    whole = fine.coarse(value)
    sql = local(whole) if given.name == t.TSTZ else whole.sql
    if target.name == "varchar":
        return Typed(_printed(sql, value, site), target)
    if target.name == "date":
        return Typed(f"CAST({sql} AS DATE)", target)
    if given.name == "date" and target.name in {"timestamp", t.TSTZ}:
        return cast(value, target)
    raise UnsupportedCastError(f"A cast from {given} to {target}", is_mismatch=True)


def printed_moment(value: Typed, zone: str) -> str:
    """A date or timestamp as Trino prints it; `zone`: the session's."""
    return from_moment(value, t.VARCHAR, CastSite(zone=zone)).sql


def _printed(sql: str, value: Typed, site: CastSite) -> str:
    given = value.type
    if given.name == "date":
        return f"strftime({sql}, '%Y-%m-%d')"
    formatted = f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%f')"
    precision, digits = given.params[0], 6
    if precision > digits:
        formatted = f"{formatted} || lpad(CAST({fine.below(value)} AS VARCHAR), 6, '0')"
        digits = MAX_DIGITS
    if precision != digits:
        formatted = f"left({formatted}, -{digits - precision + (precision == 0)})"
    formatted = f"CASE WHEN year({sql}) > 9999 THEN '+' ELSE '' END || {formatted}"
    if given.name == t.TSTZ:
        return f"({formatted} || {text(' ' + (given.zone or site.zone))})"
    return f"({formatted})"


def to_time(value: Typed, target: Type, site: CastSite) -> Typed:
    """A time, and where it is to have a zone, its own or the session's."""
    clock = _clock(value, target, site)
    if target.name == "time":
        return to_precision(fine.unzoned(clock) if clock.type.name == t.TIMETZ else clock, target)
    if clock.type.name == "time":
        zone = value.type.zone if value.type.name == t.TSTZ else ""
        clock = fine.zoned(clock, zone or site.zone)
    return to_precision(clock, target)


def _clock(value: Typed, target: Type, site: CastSite) -> Typed:
    """The clock of a value, with the digits that it has."""
    given = value.type
    if given.name in {"time", t.TIMETZ}:
        return value
    if given.name == "varchar":
        return _clock_of_text(value, target, site)
    if given.name in {"timestamp", t.TSTZ}:
        whole = wall_clock(value) if given.name == t.TSTZ else value
        coarse = fine.coarse(whole).sql
        sql = f"CAST({coarse} AS TIME)" if given.name == t.TSTZ else _clock_of(coarse, site)
        clock = Typed(sql, t.time(min(6, given.params[0])))
        return fine.refined(clock, fine.below(whole), t.time(given.params[0]))
    raise UnsupportedCastError(f"A cast from {given} to {target}", is_mismatch=True)


def _clock_of(moment: str, site: CastSite) -> str:
    """Trino's is a second early for a fraction of a second before 1970: it adds the negative rest
    to the second below. In the first second of a day that is no time at all."""
    clock = f"CAST({moment} AS TIME)"
    is_early = f"epoch_us({moment}) < 0 AND epoch_us({moment}) % 1000000 <> 0"
    none = _never("A time of a moment before 1970 within a day's first second", t.time(6), site)
    before = f"CASE WHEN {clock} < TIME '00:00:01' THEN {none} ELSE {clock} - to_seconds(1) END"
    return f"(CASE WHEN {is_early} THEN {before} ELSE {clock} END)"


def _clock_of_text(value: Typed, target: Type, site: CastSite) -> Typed:
    if isinstance(value.constant, str):
        written = value.constant.strip()
        total = moments.clock_picos(written)
        found = moments.zone_literal(written) if target.name == t.TIMETZ else None
        found = found or clocks.literal(written)
        if found is not None:
            return found
        if total is not None:
            return Typed(f"CAST({total} AS BIGINT)", t.time(len(written.partition(".")[2])))
    if target.name == t.TIMETZ:
        if isinstance(value.constant, str):
            message = f"Value cannot be cast to time with time zone: {value.constant}"
            return Typed(_never(message, target, site), t.time_tz(0, "+00:00"))
        raise UnsupportedCastError(f"A cast from varchar to {target} (of anything but a literal)")
    whole = checked(_cut_to_micros(value), t.time(6), "time", site)
    exact = f"({picos(whole)} + {_digits_below(value.sql)})"
    return Typed(exact, t.time(MAX_DIGITS))


def _never(message: str, target: Type, site: CastSite) -> str:
    return never_at(text(message), target, site)


def never_at(message: str, target: Type, site: CastSite) -> str:
    """What a cast that cannot succeed gives; `message` is SQL."""
    if site.is_safe:
        return f"CAST(NULL AS {types.duckdb_name(target)})"
    return failing_as(message, target, in_try=site.in_try)


def from_time(value: Typed, target: Type, site: CastSite) -> Typed:
    """A time as a text, or as that time of today."""
    if target.name == "varchar":
        return Typed(fine.clock_text(value), target)
    if target.name not in {"timestamp", t.TSTZ}:
        raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)
    zone = value.type.zone
    if value.type.name == t.TIMETZ:
        value = fine.unzoned(value)
    precision = target.params[0]
    value = to_precision(value, t.time(precision)) if precision < value.type.params[0] else value
    whole = Typed(f"(current_date + {fine.coarse(value).sql})", t.timestamp(6))
    moment = fine.refined(whole, fine.below(value), t.timestamp(value.type.params[0]))
    if target.name == "timestamp":
        return to_precision(moment, target)
    return to_precision(in_zone(moment, zone, site.zone), target)


_SET_BACK = {"Australia/Lord_Howe": "30 MINUTES", "Antarctica/Troll": "2 HOURS"}
"""By how much clocks are set back in autumn, where it is not an hour."""
_FIXED = frozenset(["UTC", "GMT", "Etc/UTC", "Etc/GMT", "Zulu"])
_MAX_REPEATED_CHARS = 60


def in_named_zone(wall: str, zone: str) -> str:
    """The moment of a wall clock's reading; of one that comes twice the first, as in Java.

    DuckDB takes the second. An hour before it and an hour more is the first.
    """
    if zone in _FIXED:
        return f"timezone({text(zone)}, {wall})"
    name = wall if len(wall) <= _MAX_REPEATED_CHARS else "wall"
    step = f"INTERVAL {_SET_BACK.get(zone, '1 HOUR')}"
    first = f"timezone({text(zone)}, {name} - {step}) + {step}"
    found = f"least(timezone({text(zone)}, {name}), {first})"
    return found if name == wall else f"list_transform([{wall}], lambda wall: {found})[1]"


def is_doubtful(micros: int, zone: str) -> bool:
    """Whether that reading comes twice, or never, in the zone."""
    first, second = _offsets(micros, zone)
    return first != second


def is_skipped(written: str) -> bool:
    """Whether clocks in the zone that is written never show that reading: they were put forward."""
    read = read_zoned(written)
    if read is None or read.zone[:1] in {"", "+", "-"}:
        return False
    first, second = _offsets(read.micros, read.zone)
    return first < second


def _offsets(micros: int, zone: str) -> tuple[timedelta, timedelta]:
    """What the clocks are ahead of UTC, as they were before a change of theirs and after it."""
    try:
        wall = datetime(1970, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone)) + timedelta(microseconds=micros)
        first, second = (wall.replace(fold=fold).utcoffset() for fold in (0, 1))
    except (OverflowError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return timedelta(0), timedelta(0)
    return first or timedelta(0), second or timedelta(0)


def in_zone(moment: Typed, zone: str, session_zone: str) -> Typed:
    """A wall clock's reading as the moment that it is in that zone."""
    precision = moment.type.params[0]
    whole = fine.coarse(moment)
    if zone[:1] in {"+", "-"}:
        shift = f"to_minutes({moments.offset_minutes(zone)})"
        sql = f"timezone('UTC', {whole.sql} - {shift})"
    else:
        sql = in_named_zone(whole.sql, zone or session_zone)
    zoned = Typed(sql, t.timestamp_tz(6, zone))
    return fine.refined(zoned, fine.below(moment), t.timestamp_tz(precision, zone))
