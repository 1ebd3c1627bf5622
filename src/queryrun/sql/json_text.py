"""JSON as Trino spells it: keys in order, doubles as Java writes them. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_STEP = re.compile(r'\.(?P<name>[\w:]+)|\[(?P<bare>[\w:]+)\]|\["(?P<quoted>(?:[^"\\]|\\["\\])*)"\]')


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class NotJsonError(ValueError):
    """Text that is no JSON document."""


def formatted_double(value: float) -> str:
    """As `Double.toString` in Java: an exponent from 10^7 on and below 10^-3."""
    if value != value or value in {float("inf"), float("-inf")}:
        return "NaN" if value != value else repr(value).replace("inf", "Infinity")
    if value == 0:
        return "-0.0" if str(value).startswith("-") else "0.0"
    return formatted_digits(repr(value))


def formatted_digits(written: str) -> str:
    """The same for a number that is written in any way."""
    sign = "-" if written.startswith("-") else ""
    mantissa, _, exponent = written.lstrip("-").lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    if not -3 < point <= 7:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"


def formatted_text(value: str) -> str:
    """A JSON string as Trino writes it."""
    return _BEYOND.sub(_as_surrogates, json.dumps(value, ensure_ascii=False))


def _as_surrogates(match: re.Match[str]) -> str:
    number = ord(match[0]) - 0x10000
    return f"\\u{0xD800 + (number >> 10):04X}\\u{0xDC00 + (number & 0x3FF):04X}"


def canonical(value: Any) -> str:
    """A document in Trino's spelling."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return formatted_double(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return str(value) if isinstance(value, Number) else formatted_text(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{formatted_text(key)}:{canonical(item)}" for key, item in items) + "}"


def _constant(word: str) -> Any:
    raise ValueError(word)


def parsed(document: str) -> Any:
    """A document as values; numbers with a fraction are doubles. Raises `NotJsonError`, also for
    half of a surrogate pair: JSON can write one, and no text can have it."""
    try:
        found = json.loads(document, parse_constant=_constant)
        if "\\u" in document:
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise NotJsonError(document) from error
    return found


def as_written(document: str) -> Any:
    """The same with numbers with a fraction as they are written."""
    return json.loads(document, parse_float=Number)


def path_steps(path: str) -> list[str] | None:
    """The keys and positions of a path of json_extract; None for what is none."""
    if not path.startswith("$"):
        return None
    steps, at = [], 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        quoted = match["quoted"]
        plain = match["name"] or match["bare"] or ""
        steps.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    return steps


def in_java_order(keys: list[str]) -> list[str]:
    """The order of a Java HashMap: that of its buckets, then of insertion."""
    size = 16
    while len(keys) > size * 3 // 4:
        size *= 2
    return sorted(keys, key=lambda key: _java_hash(key) & (size - 1))


def _java_hash(key: str) -> int:
    encoded = key.encode("utf-16-be", "surrogatepass")
    value = 0
    for at in range(0, len(encoded), 2):
        value = (value * 31 + int.from_bytes(encoded[at : at + 2])) & 0xFFFFFFFF
    return value ^ (value >> 16)
