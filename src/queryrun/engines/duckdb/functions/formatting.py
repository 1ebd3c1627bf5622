"""`format`: Java's Formatter over values that are handed over as text, each with its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from queryrun.engines.duckdb.functions.registry import (
    InputError,
    UnsupportedError,
    worker_function,
)
from queryrun.sql.json_text import formatted_digits, formatted_double

_SPECIFIER = re.compile(
    r"%(?:(?P<index>\d+)\$|(?P<same><))?(?P<flags>[-#+ 0,(]*)(?P<width>\d+)?(?:\.(?P<digits>\d+))?"
    r"(?P<letter>[tT]?[a-zA-Z%])"
)
_MOMENT = re.compile(
    r"(?P<date>[+-]?\d+-\d\d-\d\d)?[ T]?(?P<clock>\d\d:\d\d:\d\d)?(?:\.(?P<digits>\d+))?"
)
_MAX_WIDTH = 100_000


@dataclass(frozen=True, slots=True)
class _Argument:
    """`kind`: b(oolean) i(nteger) n(umeric decimal) d(ouble) r(eal) D(ate) T Z C (times) s."""

    kind: str
    text: str | None


@dataclass(frozen=True, slots=True)
class _Specifier:
    flags: str
    width: int
    digits: int | None
    letter: str


@worker_function("qr_format(VARCHAR, VARCHAR, VARCHAR[]) -> VARCHAR", sees_nulls=True)
def _format(pattern: str | None, kinds: str, values: list[str | None]) -> str | None:
    """`kinds` has a letter for each value."""
    if pattern is None:
        return None
    given = [_Argument(kind, text) for kind, text in zip(kinds, values, strict=True)]
    out, at, ordinary, last = [], 0, 0, -1
    for match in _SPECIFIER.finditer(pattern):
        out.append(_literal(pattern, pattern[at : match.start()]))
        at = match.end()
        specifier = _read(match)
        if specifier.letter in {"n", "%"}:
            out.append("\n" if specifier.letter == "n" else _padded("%", specifier))
            continue
        if match["index"]:
            last = int(match["index"]) - 1
        elif not match["same"]:
            last, ordinary = ordinary, ordinary + 1
        if not 0 <= last < len(given):
            raise _invalid(pattern, f"MissingFormatArgument: Format specifier '{match[0]}'")
        out.append(_converted(pattern, specifier, given[last]))
    out.append(_literal(pattern, pattern[at:]))
    return "".join(out)


def _literal(pattern: str, text: str) -> str:
    if "%" in text:
        what = text[text.index("%") + 1 :][:1] or "%"
        raise _invalid(pattern, f"UnknownFormatConversion: Conversion = '{what}'")
    return text


def _read(match: re.Match[str]) -> _Specifier:
    width = int(match["width"] or 0)
    digits = None if match["digits"] is None else int(match["digits"])
    if width > _MAX_WIDTH or (digits or 0) > _MAX_WIDTH:
        raise UnsupportedError(f"format with a width beyond {_MAX_WIDTH}")
    return _Specifier(match["flags"], width, digits, match["letter"])


def _invalid(pattern: str, why: str) -> InputError:
    return InputError(f"Invalid format string: {pattern} ({why})")


def _padded(text: str, how: _Specifier) -> str:
    return text.ljust(how.width) if "-" in how.flags else text.rjust(how.width)


def _converted(pattern: str, how: _Specifier, value: _Argument) -> str:
    letter = how.letter
    if len(letter) == 2:
        found = "null" if value.text is None else _date_part(pattern, letter[1], value)
        return _padded(found.upper() if letter[0] == "T" else found, how)
    maker = _CONVERSIONS.get(letter.lower())
    if maker is None:
        if letter in "hHaAgG":
            raise UnsupportedError(f"format with %{letter}")
        raise _invalid(pattern, f"UnknownFormatConversion: Conversion = '{letter}'")
    if value.text is None and letter.lower() != "b":
        found = _padded("null" if how.digits is None else "null"[: how.digits], how)
    else:
        found = maker(pattern, how, value)
    return found.upper() if letter.isupper() else found


def _mismatch(pattern: str, how: _Specifier, value: _Argument) -> InputError:
    return _invalid(pattern, f"IllegalFormatConversion: {how.letter} != {_CLASSES[value.kind]}")


_CLASSES = {
    "b": "java.lang.Boolean", "i": "java.lang.Long", "n": "java.math.BigDecimal",
    "d": "java.lang.Double", "r": "java.lang.Float", "D": "java.time.LocalDate",
    "T": "java.time.LocalDateTime", "Z": "java.time.ZonedDateTime", "C": "java.time.LocalTime",
    "s": "java.lang.String",
}  # fmt: skip


def _text(_: str, how: _Specifier, value: _Argument) -> str:
    found = _as_string(value)
    return _padded(found if how.digits is None else found[: how.digits], how)


def _as_string(value: _Argument) -> str:
    text = value.text or ""
    if value.kind == "d":
        return formatted_double(float(text))
    if value.kind == "r":
        number = float(text)
        is_plain = number != 0 and number - number == 0
        return formatted_digits(text) if is_plain else formatted_double(number)
    if value.kind in "TZC":
        return _moment_string(value)
    return text


def _moment_string(value: _Argument) -> str:
    """As java.time prints it: seconds only where they are not zero, digits in threes."""
    written, _, zone = (value.text or "").partition("|")
    match = _parts_of(written)
    clock = match["clock"]
    digits = (match["digits"] or "").rstrip("0")
    digits = digits.ljust(-(-len(digits) // 3) * 3, "0")
    if digits:
        clock += f".{digits}"
    elif clock.endswith(":00"):
        clock = clock[:-3]
    moment = f"{match['date']}T{clock}" if match["date"] else clock
    return moment + (_zone_string(zone) if zone else "")


def _parts_of(written: str) -> re.Match[str]:
    match = _MOMENT.fullmatch(written)
    if match is None:
        raise UnsupportedError("format of such a moment")
    return match


def _zone_string(written: str) -> str:
    seconds, _, name = written.partition("|")
    total = abs(int(seconds))
    sign = "-" if int(seconds) < 0 else "+"
    offset = f"{sign}{total // 3600:02}:{total // 60 % 60:02}" if total else "Z"
    offset += f":{total % 60:02}" if total % 60 else ""
    return offset if name[:1] in {"+", "-"} else f"{offset}[{name}]"


def _boolean(_: str, how: _Specifier, value: _Argument) -> str:
    found = "false" if value.text is None else "true"
    if value.kind == "b" and value.text is not None:
        found = value.text
    return _padded(found if how.digits is None else found[: how.digits], how)


def _integer(pattern: str, how: _Specifier, value: _Argument) -> str:
    if value.kind != "i":
        raise _mismatch(pattern, how, value)
    number = int(value.text or 0)
    if how.letter.lower() == "d":
        digits = f"{abs(number):,}" if "," in how.flags else str(abs(number))
        return _signed(digits, how, is_negative=number < 0)
    bits = number if number >= 0 else number + 2**64
    digits = f"{bits:x}" if how.letter.lower() == "x" else f"{bits:o}"
    if "#" in how.flags:
        digits = ("0x" if how.letter.lower() == "x" else "0") + digits
    return digits.rjust(how.width, "0") if "0" in how.flags else _padded(digits, how)


def _signed(digits: str, how: _Specifier, *, is_negative: bool) -> str:
    before = after = ""
    if is_negative:
        before, after = ("(", ")") if "(" in how.flags else ("-", "")
    elif "+" in how.flags:
        before = "+"
    elif " " in how.flags:
        before = " "
    if "0" in how.flags:
        digits = digits.rjust(how.width - len(before) - len(after), "0")
    return _padded(before + digits + after, how)


def _fixed(pattern: str, how: _Specifier, value: _Argument) -> str:
    if value.kind not in "ndr":
        raise _mismatch(pattern, how, value)
    text = value.text or ""
    if value.kind != "n" and float(text) - float(text) != 0:
        word = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(float(text))]
        if word == "-Infinity" and "(" in how.flags:
            word = "(Infinity)"
        return _padded("+" + word if "+" in how.flags and word[0] == "I" else word, how)
    number = Decimal(text) if value.kind == "n" else Decimal(repr(float(text)))
    digits = 6 if how.digits is None else how.digits
    size = abs(number)
    if how.letter.lower() == "e":
        rendered = _scientific(size, digits)
    else:
        rendered = f"{size.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"
        if "," in how.flags:
            whole, point, rest = rendered.partition(".")
            rendered = f"{int(whole):,}{point}{rest}"
    return _signed(rendered, how, is_negative=number.is_signed())


def _scientific(size: Decimal, digits: int) -> str:
    power = size.adjusted() if size else 0
    rounded = size.scaleb(-power).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    if rounded >= 10:
        rounded, power = (rounded / 10).quantize(Decimal(1).scaleb(-digits)), power + 1
    return f"{rounded:f}e{'-' if power < 0 else '+'}{abs(power):02}"


def _character(pattern: str, how: _Specifier, value: _Argument) -> str:
    if value.kind != "i":
        raise _mismatch(pattern, how, value)
    return _padded(chr(int(value.text or 0)), how)


_CONVERSIONS: dict[str, Callable[[str, _Specifier, _Argument], str]] = {
    "s": _text, "b": _boolean, "d": _integer, "x": _integer, "o": _integer, "f": _fixed,
    "e": _fixed, "c": _character,
}  # fmt: skip

# --- dates ----------------------------------------------------------------------------------

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_OF_DATES: dict[str, Callable[[date], str]] = {
    "Y": lambda d: f"{d.year:04}", "y": lambda d: f"{d.year % 100:02}",
    "C": lambda d: f"{d.year // 100:02}", "m": lambda d: f"{d.month:02}",
    "d": lambda d: f"{d.day:02}", "e": lambda d: str(d.day),
    "j": lambda d: f"{d.timetuple().tm_yday:03}", "B": lambda d: _MONTHS[d.month - 1],
    "b": lambda d: _MONTHS[d.month - 1][:3], "h": lambda d: _MONTHS[d.month - 1][:3],
    "A": lambda d: _DAYS[d.weekday()], "a": lambda d: _DAYS[d.weekday()][:3],
    "F": lambda d: d.isoformat(), "D": lambda d: f"{d.month:02}/{d.day:02}/{d.year % 100:02}",
}  # fmt: skip


def _date_part(pattern: str, letter: str, value: _Argument) -> str:
    if value.kind not in "DTZC":
        raise _invalid(pattern, f"IllegalFormatConversion: t != {_CLASSES[value.kind]}")
    written = (value.text or "").partition("|")[0]
    match = _parts_of(written)
    if letter in _OF_DATES and match["date"]:
        try:
            return _OF_DATES[letter](date.fromisoformat(match["date"]))
        except ValueError:
            raise UnsupportedError("format of dates beyond the year 9999") from None
    if match["clock"] and letter in _OF_CLOCKS:
        hour, minute, second = map(int, match["clock"].split(":"))
        nanos = int((match["digits"] or "").ljust(9, "0")[:9])
        return _OF_CLOCKS[letter](hour, minute, second, nanos)
    raise UnsupportedError(f"format with %t{letter} of such a value")


def _twelve(hour: int) -> int:
    return hour % 12 or 12


_OF_CLOCKS: dict[str, Callable[[int, int, int, int], str]] = {
    "H": lambda h, _m, _s, _n: f"{h:02}", "k": lambda h, _m, _s, _n: str(h),
    "I": lambda h, _m, _s, _n: f"{_twelve(h):02}", "l": lambda h, _m, _s, _n: str(_twelve(h)),
    "M": lambda _h, m, _s, _n: f"{m:02}", "S": lambda _h, _m, s, _n: f"{s:02}",
    "L": lambda _h, _m, _s, n: f"{n // 10**6:03}", "N": lambda _h, _m, _s, n: f"{n:09}",
    "p": lambda h, _m, _s, _n: "am" if h < 12 else "pm",
    "R": lambda h, m, _s, _n: f"{h:02}:{m:02}", "T": lambda h, m, s, _n: f"{h:02}:{m:02}:{s:02}",
    "r": lambda h, m, s, _n: f"{_twelve(h):02}:{m:02}:{s:02} {'AM' if h < 12 else 'PM'}",
}  # fmt: skip
