"""Intervals as Trino writes them."""

from __future__ import annotations

import re

from queryrun.sql.trino.records import ast

WHOLE_DAYS = "whole days"
"""What is known of an interval that may be added to a date."""
_UNITS = ("DAY", "HOUR", "MINUTE", "SECOND")
_MILLIS = {"DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1_000}
_MAX = 2**31 - 1
_SEPARATORS = {"HOUR": " ", "MINUTE": ":", "SECOND": ":"}


def span_millis(text: str, first: str, last: str) -> int | None:
    """The milliseconds of `'2 03:04' DAY TO MINUTE`; None for what is none. Parts may lack."""
    if first not in _UNITS or last not in _UNITS or _UNITS.index(first) >= _UNITS.index(last):
        return None
    units = _UNITS[_UNITS.index(first) : _UNITS.index(last) + 1]
    pattern = _part(first)
    for unit in units[1:]:
        pattern += f"(?:{_SEPARATORS[unit]}{_part(unit)}"
    match = re.fullmatch(r"(?P<sign>-?)" + pattern + ")?" * (len(units) - 1), text)
    if match is None:
        return None
    total = sum(_MILLIS[unit] * int(match[unit] or 0) for unit in units)
    if "fraction" in match.groupdict():
        total += int(((match["fraction"] or "") + "000")[:3])
    return -total if match["sign"] else total


def is_amount(written: str, unit: str) -> bool:
    """Whether a text is a number of this unit, of the size that Trino has for one."""
    fraction = r"(?:\.[0-9]+)?" if unit == "SECOND" else ""
    match = re.fullmatch(r"[+-]?0*([0-9]{1,10})" + fraction, written)
    return match is not None and int(match[1]) <= (_MAX // 12 if unit == "YEAR" else _MAX)


def _part(unit: str) -> str:
    return r"(?P<SECOND>\d+)(?:\.(?P<fraction>\d+))?" if unit == "SECOND" else rf"(?P<{unit}>\d+)"


def second_millis(text: str) -> int | None:
    """The milliseconds of `INTERVAL '1.5' SECOND`: what is finer is cut off."""
    match = re.fullmatch(r"([+-]?)(\d+)(?:\.(\d+))?", text)
    if match is None:
        return None
    total = int(match[2]) * 1000 + int(((match[3] or "") + "000")[:3])
    return -total if match[1] == "-" else total


def literal_minutes(node: ast.IntervalLiteral) -> int | None:
    """The whole minutes of a literal; None where it has others, or months."""
    unit = node.unit.removesuffix("S")
    if node.to_unit:
        total = span_millis(node.text, unit, node.to_unit)
    elif unit == "SECOND":
        total = second_millis(node.text)
    else:
        is_whole = re.fullmatch(r"[+-]?\d+", node.text) and unit in _MILLIS
        total = int(node.text) * _MILLIS[unit] if is_whole else None
    if total is None or total % _MILLIS["MINUTE"]:
        return None
    minutes = total // _MILLIS["MINUTE"]
    return -minutes if node.is_negative else minutes
