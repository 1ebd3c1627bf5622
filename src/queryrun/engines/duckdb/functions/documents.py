"""Functions of JSON: one spelling for each value, as Trino has it."""

from __future__ import annotations

import json
import re
from typing import Any

from queryrun.engines.duckdb.functions.registry import InputError, UnsupportedError, worker_function

_BEYOND = re.compile("[\U00010000-\U0010ffff]")


class Number(str):
    """A number that is not whole, as it is written."""

    __slots__ = ()


def _java_double(written: str) -> float:
    value = float(written)
    if value in {float("inf"), float("-inf")}:
        raise UnsupportedError("JSON with a number beyond the range of a double")
    return value


def spelled_double(value: float) -> str:
    """As `Double.toString` in Java: digits enough, an exponent from 10^7 on and below 10^-3."""
    if value == 0:
        return "-0.0" if str(value).startswith("-") else "0.0"
    sign = "-" if value < 0 else ""
    digits, _, power = f"{abs(value):e}".partition("e")
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    plain = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) if whole.strip("0") else 0
    if not whole.strip("0"):
        stripped = fraction.lstrip("0")
        point = int(exponent or 0) - (len(fraction) - len(stripped))
        plain = stripped
    del digits, power
    plain = plain.rstrip("0") or "0"
    if -3 < point <= 7:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{plain}"
        return f"{sign}{plain[:point].ljust(point, '0')}.{plain[point:] or '0'}"
    return f"{sign}{plain[0]}.{plain[1:] or '0'}E{point - 1}"


def text_of(value: str) -> str:
    """A JSON string as Trino writes it."""
    quoted = json.dumps(value, ensure_ascii=False)
    return _BEYOND.sub(_as_surrogates, quoted)


def _as_surrogates(match: re.Match[str]) -> str:
    number = ord(match[0]) - 0x10000
    return f"\\u{0xD800 + (number >> 10):04X}\\u{0xDC00 + (number & 0x3FF):04X}"


def canonical(value: Any) -> str:
    """A document in Trino's spelling: keys in order, doubles as Java writes them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return spelled_double(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
    return "{" + ",".join(f"{text_of(key)}:{canonical(item)}" for key, item in items) + "}"


def _constant(word: str) -> Any:
    raise ValueError(word)


def parsed(document: str) -> Any:
    """A document as values. Raises `ValueError` for what is no JSON."""
    return json.loads(document, parse_float=_java_double, parse_constant=_constant)


@worker_function("qr_json_canonical(VARCHAR) -> VARCHAR")
def _json_canonical(document: str) -> str:
    """Of a document that is JSON."""
    return canonical(parsed(document))


@worker_function("qr_json_parse(VARCHAR) -> VARCHAR")
def _json_parse(document: str) -> str:
    try:
        return canonical(parsed(document))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnsupportedError):
            raise
        raise InputError(f"Cannot convert value to JSON: '{document}'") from None
