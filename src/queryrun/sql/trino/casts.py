"""CAST and TRY_CAST: what each pair of Trino types needs in DuckDB's SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queryrun.sql.trino import clocks, intervals, json_casts
from queryrun.sql.trino import types as t
from queryrun.sql.trino.ast import TypeName
from queryrun.sql.trino.typed import Typed, cast, text
from queryrun.sql.trino.types import Type

_SIMPLE = {
    "boolean": t.BOOLEAN, "tinyint": t.TINYINT, "smallint": t.SMALLINT, "integer": t.INTEGER,
    "int": t.INTEGER, "bigint": t.BIGINT, "real": t.REAL, "double": t.DOUBLE, "date": t.DATE,
    "varchar": t.VARCHAR, "varbinary": t.VARBINARY, "json": t.JSON, "uuid": t.UUID,
}  # fmt: skip
_MOMENTS = {
    "timestamp": t.timestamp,
    t.TSTZ: t.timestamp_tz,
    "time": t.time,
}
_FINEST = 6
"""Digits of a second that a value has at most."""
PATTERNS = {
    "integer": r"\s*[+-]?[0-9]+\s*",
    "date": r"\s*[+]?0*[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}\s*",
    "timestamp": r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"( [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,12})?)?)?",
    "time": clocks.PATTERN,
    "number": r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?\s*"
    r"|[+-]?(NaN|Infinity)",
    "decimal": r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?",
}
ZONED = re.compile(r"^(?P<moment>[^A-Za-z]*?)\s*(?P<zone>[A-Za-z][\w/+-]*|[+-]\d{1,2}(:\d{2})?)$")


class UnsupportedCastError(Exception):
    """Trino has this cast, or says that it has none; the message tells which."""

    def __init__(self, message: str, *, is_mismatch: bool = False) -> None:
        super().__init__(message)
        self.is_mismatch = is_mismatch


@dataclass(frozen=True, slots=True)
class CastSite:
    """How a cast behaves: `is_safe` gives NULL for what cannot be cast; `zone` is the session's."""

    is_safe: bool = False
    in_try: bool = False
    zone: str = "UTC"


def type_of(written: TypeName) -> tuple[Type, int | None]:
    """The type that is named, and the length that a varchar is cut to. `UnsupportedCastError`."""
    numbers = [argument for argument in written.arguments if isinstance(argument, int)]
    if written.name in _MOMENTS:
        precision = numbers[0] if numbers else 3
        if precision > 6:
            raise UnsupportedCastError(f"{written.name}({precision}) is finer than a microsecond")
        return _MOMENTS[written.name](precision), None
    if written.name in {"decimal", "numeric", "dec"}:
        precision, scale = [*numbers, 38, 0][0], [*numbers, 0, 0][1]
        if not 0 < precision <= 38 or scale > precision:
            raise UnsupportedCastError(
                f"decimal({precision},{scale}) is not a type", is_mismatch=True
            )
        return Type("decimal", (precision, scale)), None
    if written.name in {"array", "map", "row"}:
        parts = [type_of(part)[0] for part in written.arguments if isinstance(part, TypeName)]
        return Type(written.name, parts=tuple(parts), names=tuple(written.fields)), None
    if written.name in _SIMPLE:
        length = numbers[0] if numbers and written.name == "varchar" else None
        return _SIMPLE[written.name], length
    raise UnsupportedCastError(f"Type {written.name}")


def explicit(value: Typed, target: Type, length: int | None, site: CastSite) -> Typed:
    """`CAST(value AS wanted)`. Raises `UnsupportedCastError` when the pair cannot be cast."""
    found = _explicit(value, target, site)
    if length is not None:
        if value.type.name not in {"varchar", "unknown", "boolean", "json"}:
            raise UnsupportedCastError(f"A cast from {value.type} to a varchar with a length")
        found = Typed(f"substring({found.sql}, 1, {length})", t.VARCHAR)
    return found


def _explicit(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if given.name == "unknown":
        return Typed(f"CAST(NULL AS {t.duckdb_name(target)})", target)
    if target.name == "json":
        return _to_json(value, site)
    if target.name == "time":
        return _to_time(value, target, site)
    if given in {t.DAYS, t.MONTHS} and target.name == "varchar":
        return Typed(intervals.printed(value), target)
    if target.name in {"timestamp", t.TSTZ} and given.name in {"timestamp", t.TSTZ}:
        return _between_moments(value, target)
    if t.bare(given) == t.bare(target):
        return value
    if t.is_number(given) and t.is_number(target):
        return _number_to_number(value, target, site)
    maker = _FROM.get(given.name)
    if given.name in {"array", "map", "row"}:
        return _nested(value, target, site)
    if maker is None:
        raise UnsupportedCastError(f"A cast from {given} to {target}")
    return maker(value, target, site)


def _plain(sql: str, target: Type, site: CastSite) -> Typed:
    word = "TRY_CAST" if site.is_safe else "CAST"
    if target.name == "decimal" and target.params[0] == target.params[1] < 38:
        exact = f"{word}({sql} AS DECIMAL({target.params[0]},{target.params[1]}))"
        return Typed(f"CAST({exact} AS {t.duckdb_name(target)})", target)
    return Typed(f"{word}({sql} AS {t.duckdb_name(target)})", target)


def _number_to_number(value: Typed, target: Type, site: CastSite) -> Typed:
    if t.is_floating(value.type) and (t.is_integer(target)):
        return _plain(f"round({value.sql})", target, site)
    if target == t.REAL and value.type == t.DOUBLE:
        word = "TRY_CAST" if site.is_safe else "CAST"
        beyond = f"isfinite({value.sql}) AND abs({value.sql}) >= 3.4028235677973366e38::DOUBLE"
        endless = f"CAST(sign({value.sql}) * 'Infinity'::DOUBLE AS FLOAT)"
        sql = f"(CASE WHEN {beyond} THEN {endless} ELSE {word}({value.sql} AS FLOAT) END)"
        return Typed(sql, target)
    if value.type == t.REAL and target.name == "decimal":
        return _plain(f"qr_real_digits({value.sql})", target, site)
    if t.is_floating(value.type) and target.name == "decimal":  # by its digits, as Java does
        return _plain(f"CAST({value.sql} AS VARCHAR)", target, site)
    return _plain(value.sql, target, site)


def _from_number(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar":
        if t.is_floating(value.type):
            call = "qr_double_text" if value.type == t.DOUBLE else "qr_real_text"
            return Typed(f"{call}({value.sql})", target)
        return _plain(value.sql, target, site)
    if target.name == "boolean":
        return Typed(f"({value.sql} <> 0)", target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}")


def _from_boolean(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar" or t.is_number(target):
        return _plain(value.sql, target, site)
    raise UnsupportedCastError(f"A cast from boolean to {target}")


def _from_varchar(value: Typed, target: Type, site: CastSite) -> Typed:
    if t.is_integer(target):
        return _checked(value, target, "integer", site)
    if target.name == "decimal":
        return _checked(value, target, "decimal", site)
    if t.is_floating(target):
        return _checked(_without_suffix(value), target, "number", site)
    if target.name == "date":
        return _to_date(value, target, site)
    if target.name == "timestamp":
        checked = _checked(_without_zone(value), target, "timestamp", site)
        if target.params[0] == _FINEST:
            return Typed(_with_seventh_digit(checked.sql, value), target)
        return Typed(rounded(checked.sql, target.params[0]), target)
    if target.name == t.TSTZ:
        return _zoned(value, target, site)
    if target.name == "boolean":
        sql = (
            f"CASE WHEN lower({value.sql}) IN ('t', 'true', '1') THEN true "
            f"WHEN lower({value.sql}) IN ('f', 'false', '0') THEN false "
            f"{_otherwise(value.sql, target, site)} END"
        )
        return Typed(f"({sql})", target)
    if target.name == "uuid":
        return _plain(value.sql, target, site)
    if target.name == "varbinary":
        return Typed(f"encode({value.sql})", target)
    raise UnsupportedCastError(f"A cast from varchar to {target}", is_mismatch=True)


_FAR_YEAR = r"\s*([+-]?0*[1-9][0-9]{4,5}|-[0-9]{1,6})-[0-9]{1,2}-[0-9].*"
FAR_YEAR = re.compile(_FAR_YEAR, re.S)
"""What we keep has years from 1 to 9999."""
FAR = "A year before 1 or after 9999"


_ZONE_AFTER = "( ?[+-][0-9]{2}:[0-9]{2}| [A-Z][A-Za-z_]+/[A-Za-z_/]+| UTC)"
_AFTER = re.compile(f"(?P<moment>.*[0-9]){_ZONE_AFTER}")


def _to_date(value: Typed, target: Type, site: CastSite) -> Typed:
    """With blanks around it and a sign in front, which DuckDB does not read."""
    if isinstance(value.constant, str):
        if FAR_YEAR.fullmatch(value.constant):
            raise UnsupportedCastError(FAR)
        if re.fullmatch(PATTERNS["date"], value.constant):
            value = Typed(text(value.constant.strip().removeprefix("+")), value.type)
            return _plain(value.sql, target, site)
        return _checked(value, target, "date", site)
    plain = _plain(
        f"ltrim(trim({value.sql}, chr(32)||chr(9)||chr(10)||chr(11)||chr(12)||chr(13)), '+')", target, site
    )
    sql = (
        f"CASE WHEN regexp_full_match({value.sql}, {text(PATTERNS['date'])}) THEN {plain.sql} "
        f"{_otherwise(value.sql, target, site)} END"
    )
    return Typed(f"({sql})", target)


def _without_zone(value: Typed) -> Typed:
    """A zone at the end of a text counts for nothing where there is none in the type."""
    if isinstance(value.constant, str):
        match = _AFTER.fullmatch(value.constant.strip())
        if FAR_YEAR.fullmatch(value.constant):
            raise UnsupportedCastError(FAR)
        if match and re.fullmatch(PATTERNS["timestamp"], match["moment"].strip()):
            moment = match["moment"].strip()
            return Typed(text(moment), value.type, moment)
        return value
    zone = f"([0-9]){_ZONE_AFTER}$"
    return Typed(f"regexp_replace({value.sql}, {text(zone)}, '\\1')", value.type)


def _without_suffix(value: Typed) -> Typed:
    """Java reads `1.5f` and `1.5d` as numbers; DuckDB does not."""
    if not isinstance(value.constant, str):
        return value
    bare = re.sub(r"(?<=[0-9.])[dDfF](?=\s*$)", "", value.constant)
    return Typed(text(bare), value.type, bare) if bare != value.constant else value


def _checked(value: Typed, target: Type, pattern: str, site: CastSite) -> Typed:
    """DuckDB reads more spellings than Trino: '1.5' as an integer, '2020/01/01' as a date."""
    if isinstance(value.constant, str) and re.fullmatch(PATTERNS[pattern], value.constant):
        return _plain(value.sql, target, site)
    inner = _plain(value.sql, target, site).sql
    sql = (
        f"CASE WHEN regexp_full_match({value.sql}, {text(PATTERNS[pattern])}) THEN {inner} "
        f"{_otherwise(value.sql, target, site)} END"
    )
    return Typed(f"({sql})", target)


def _otherwise(sql: str, target: Type, site: CastSite) -> str:
    if site.is_safe:
        return ""
    if site.in_try:
        failing = "CASE WHEN CAST('this value cannot be cast' AS INTEGER) = 0 THEN NULL END"
        return f"WHEN {sql} IS NOT NULL THEN {failing}"
    return f"WHEN {sql} IS NOT NULL THEN error({_cannot_cast(sql, target)})"


def _cannot_cast(sql: str, target: Type) -> str:
    """Trino's words, in SQL."""
    if target.name in {"date", "timestamp"}:
        far = text(_FAR_YEAR)
        words = f"{text(f'Value cannot be cast to {target.name}: ')} || {sql}"
        refused = text(f"{FAR} is not supported")
        return f"CASE WHEN regexp_full_match({sql}, {far}) THEN {refused} ELSE {words} END"
    if target.name == "time":
        return f"{text(f'Value cannot be cast to {target.name}: ')} || {sql}"
    word = "INT" if target == t.INTEGER else str(target).replace(",", ", ").upper()
    return f"""{text("Cannot cast '")} || {sql} || {text(f"' to {word}")}"""


def _zoned(value: Typed, target: Type, site: CastSite) -> Typed:
    if not isinstance(value.constant, str):
        raise UnsupportedCastError(f"A cast from varchar to {target} (of anything but a literal)")
    found = zoned_literal(value.constant, site.zone)
    if found is None and FAR_YEAR.fullmatch(value.constant):
        raise UnsupportedCastError(FAR)
    if found is None:
        raise UnsupportedCastError(f"'{value.constant}' is not a {target}", is_mismatch=True)
    zone = found.type.zone
    return Typed(rounded(found.sql, target.params[0]), t.timestamp_tz(target.params[0], zone))


def zoned_literal(written: str, session_zone: str) -> Typed | None:
    """A moment with its zone (`2020-01-01 10:00 UTC`), or in the session's; None: it is none."""
    match = ZONED.match(written.strip())
    if match and re.fullmatch(PATTERNS["timestamp"], match["moment"].strip()):
        moment, zone = match["moment"].strip(), match["zone"]
    elif re.fullmatch(PATTERNS["timestamp"], written.strip()):
        moment, zone = written.strip(), ""
    else:
        return None
    precision = len(moment.partition(".")[2])
    if precision > 6:
        raise UnsupportedCastError("A timestamp that is finer than a microsecond")
    local = f"TIMESTAMP {text(moment)}"
    if re.match(r"(GMT|UTC|UT)[+-]", zone):
        raise UnsupportedCastError(f"The time zone {zone}")
    if zone[:1] in {"+", "-"}:
        hours, _, minutes = zone[1:].partition(":")
        zone = f"{zone[0]}{int(hours):02}:{minutes or '00'}"
        moment = moment if ":" in moment else f"{moment} 00:00"
        return Typed(f"TIMESTAMPTZ {text(moment + zone)}", t.timestamp_tz(precision, zone))
    return Typed(
        f"timezone({text(zone or session_zone)}, {local})", t.timestamp_tz(precision, zone)
    )


def _with_seventh_digit(sql: str, written: Typed) -> str:
    """Half a microsecond and more is one, where DuckDB cuts the digits off."""
    finer = r"\.[0-9]{6}[5-9]"
    if isinstance(written.constant, str) and not re.search(finer, written.constant):
        return sql
    more = f"CASE WHEN regexp_matches({written.sql}, {text(finer)}) THEN 1 ELSE 0 END"
    return f"({sql} + to_microseconds({more}))"


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
    if value.type.zone == VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    if value.type.zone.startswith(("+", "-")):
        sign, hours, minutes = value.type.zone[0], value.type.zone[1:3], value.type.zone[4:6]
        shift = f"to_minutes({sign}{int(hours) * 60 + int(minutes)})"
        return f"(timezone('UTC', {value.sql}) + {shift})"
    if value.type.zone:
        return f"timezone({text(value.type.zone)}, {value.sql})"
    return f"CAST({value.sql} AS TIMESTAMP)"


def _between_moments(value: Typed, target: Type) -> Typed:
    given, precision = value.type, target.params[0]
    sql = value.sql
    if given.name == t.TSTZ and target.name == "timestamp":
        sql = local(value)
    elif given.name == "timestamp" and target.name == t.TSTZ:
        sql = cast(value, target).sql
    if precision < given.params[0]:
        sql = rounded(sql, precision)
    zone = given.zone if given.name == target.name else ""
    return Typed(sql, Type(target.name, (precision,), zone=zone))


def _from_moment(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    sql = local(value) if given.name == t.TSTZ else value.sql
    if target.name == "varchar":
        return Typed(_printed(sql, given, site), target)
    if target.name == "date":
        return Typed(f"CAST({sql} AS DATE)", target)
    if given.name == "date" and target.name in {"timestamp", t.TSTZ}:
        return cast(value, target)
    raise UnsupportedCastError(f"A cast from {given} to {target}")


def _printed(sql: str, given: Type, site: CastSite) -> str:
    if given.name == "date":
        return f"strftime({sql}, '%Y-%m-%d')"
    formatted = f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%f')"
    precision = given.params[0]
    digits = 19 if precision == 0 else 20 + precision
    formatted = f"left({formatted}, {digits})"
    if given.name == t.TSTZ:
        return f"({formatted} || {text(' ' + (given.zone or site.zone))})"
    return formatted


def _to_time(value: Typed, target: Type, site: CastSite) -> Typed:
    given, precision = value.type, target.params[0]
    if given.name == "varchar":
        found = clocks.literal(value.constant) if isinstance(value.constant, str) else None
        sql = found.sql if found else _checked(value, target, "time", site).sql
        if not found and precision == _FINEST:
            return Typed(_with_seventh_digit(sql, value), target)
        return Typed(clocks.rounded(sql, precision), target)
    if given.name == "time":
        sql = clocks.rounded(value.sql, precision) if precision < given.params[0] else value.sql
        return Typed(sql, target)
    if given.name in {"timestamp", t.TSTZ}:
        sql = f"CAST({local(value) if given.name == t.TSTZ else value.sql} AS TIME)"
        finer = precision < given.params[0]
        return Typed(clocks.rounded(sql, precision) if finer else sql, target)
    raise UnsupportedCastError(f"A cast from {given} to {target}", is_mismatch=True)


def _from_time(value: Typed, target: Type, _: CastSite) -> Typed:
    if target.name == "varchar":
        return Typed(clocks.printed(value), target)
    if target.name == "timestamp":
        sql = f"(current_date + {clocks.rounded(value.sql, min(6, target.params[0]))})"
        return Typed(sql, target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}")


def _from_json(value: Typed, target: Type, site: CastSite) -> Typed:
    try:
        sql = json_casts.from_json(value.sql, target)
    except json_casts.NoJsonCastError as error:
        raise UnsupportedCastError(str(error)) from error
    return Typed(f"TRY({sql})" if site.is_safe else sql, target)


def _to_json(value: Typed, site: CastSite) -> Typed:
    def printed(moment: Typed) -> str:
        return _from_moment(moment, t.VARCHAR, site).sql

    try:
        return Typed(f"CAST({json_casts.to_json(value, printed)} AS JSON)", t.JSON)
    except json_casts.NoJsonCastError as error:
        raise UnsupportedCastError(str(error)) from error


def _from_uuid(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar":
        return _plain(value.sql, target, site)
    raise UnsupportedCastError(f"A cast from uuid to {target}")


def _nested(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if given.name != target.name or len(given.parts) != len(target.parts):
        raise UnsupportedCastError(f"A cast from {given} to {target}", is_mismatch=True)
    if given.name == "array":
        item = _explicit(Typed("item", given.parts[0]), target.parts[0], site)
        return Typed(f"list_transform({value.sql}, lambda item: {item.sql})", target)
    for before, after in zip(given.parts, target.parts, strict=True):
        if before != after and t.common(before, after) != after:
            raise UnsupportedCastError(f"A cast from {given} to {target}")
    return _plain(value.sql, target, site)


VARIES = t.VARIES
_FROM = {
    "varchar": _from_varchar,
    "boolean": _from_boolean,
    "date": _from_moment,
    "timestamp": _from_moment,
    t.TSTZ: _from_moment,
    "json": _from_json,
    "uuid": _from_uuid,
    "time": _from_time,
} | dict.fromkeys(
    ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"), _from_number
)
