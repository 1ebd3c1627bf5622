"""What a column of texts means, by the rules of docs/reference/data.md, in Python alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.A)
SCIENTIFIC = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?[eE][+-]\d+|-?(0|[1-9]\d*)\.\d+[eE]\d+", re.A)
JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.A)
MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d(\.\d{1,6}0*)?)?(Z|[+-]\d\d(:?\d\d)?)?", re.A
)
SLASHED = re.compile(r"(\d\d)/(\d\d)/(\d{4})", re.A)
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def typed(texts: Sequence[str | None]) -> list[Any]:
    """The values of a CSV column: typed when every text is of one sort, else the texts."""
    given = [text for text in texts if text]
    for read in (_booleans, _numbers, _dates, _slashed, _moments):
        values = read(given)
        if given and values is not None:
            found = iter(values)
            return [next(found) if text else None for text in texts]
    return list(texts)


def typed_json(values: Sequence[Any]) -> list[Any] | None:
    """The same of a JSON column of numbers (`Raw`), texts and booleans; None when it is mixed."""
    given = [value for value in values if value is not None]
    found: list[Any] | None
    if all(isinstance(value, bool) for value in given):
        found = list(given)
    elif all(isinstance(value, Raw) for value in given):
        found = _numbers([value.text for value in given], json=True)
    elif all(isinstance(value, str) for value in given):
        found = _dates(given) or _moments(given) or list(given)
    else:
        return None
    if found is None:
        return None
    rest = iter(found)
    return [None if value is None else next(rest) for value in values]


class Raw:
    """A JSON number as it is spelled."""

    def __init__(self, text: str) -> None:
        self.text = text


def _booleans(texts: Sequence[str]) -> list[Any] | None:
    return [TRUTHS[text] for text in texts] if all(text in TRUTHS for text in texts) else None


def _numbers(texts: Sequence[str], *, json: bool = False) -> list[Any] | None:
    exponent = JSON_NUMBER if json else SCIENTIFIC
    if not all(NUMBER.fullmatch(text) or exponent.fullmatch(text) for text in texts):
        return None
    exact = [Decimal(text) for text in texts]
    whole = [re.fullmatch(r"0|-?[1-9]\d*", text, re.A) is not None for text in texts]
    if all(whole) and all(-(2**63) <= value < 2**63 for value in exact):
        return [int(value) for value in exact]
    if all(_is_double(text, value) for text, value in zip(texts, exact, strict=True)):
        return [float(text) for text in texts]
    return _decimals(texts, exact)


def _is_double(text: str, value: Decimal) -> bool:
    """Whether the nearest double prints the number that was written."""
    double = float(text)
    return abs(double) != float("inf") and Decimal(repr(double)) == value


def _decimals(texts: Sequence[str], exact: Sequence[Decimal]) -> list[Any] | None:
    if any("e" in text.lower() for text in texts):
        return None
    whole = max(len(text.lstrip("-").split(".")[0]) for text in texts)
    fraction = max(len(text.partition(".")[2]) for text in texts)
    return list(exact) if whole + fraction <= 38 else None


def _dates(texts: Sequence[str]) -> list[Any] | None:
    if not all(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.A) for text in texts):
        return None
    try:
        return [date.fromisoformat(text) for text in texts]
    except ValueError:
        return None


def _slashed(texts: Sequence[str]) -> list[Any] | None:
    """Only when some day above 12 shows the order."""
    parts = [SLASHED.fullmatch(text) for text in texts]
    if not all(parts):
        return None
    numbers = [tuple(int(g) for g in part.groups()) for part in parts if part]
    day_first, month_first = (_in_order(numbers, order) for order in ((0, 1), (1, 0)))
    if (day_first is None) == (month_first is None):
        return None
    return day_first or month_first


def _in_order(numbers: Sequence[tuple[int, ...]], order: tuple[int, int]) -> list[Any] | None:
    try:
        return [date(n[2], n[order[1]], n[order[0]]) for n in numbers]
    except ValueError:
        return None


def _moments(texts: Sequence[str]) -> list[Any] | None:
    """Dates and times: all with an offset, or none."""
    found = [_moment(text) for text in texts]
    if any(value is None for value in found):
        return None
    zoned = {value.tzinfo is not None for value in found if value}
    return list(found) if len(zoned) == 1 else None


def _moment(text: str) -> datetime | None:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.A):
            return datetime.fromisoformat(text)
        match = MOMENT.fullmatch(text)
        if match is None or match[2] >= "24":
            return None
        seconds = match[3] or ":00"
        if "." in seconds:
            head, _, digits = seconds.partition(".")
            seconds = f"{head}.{digits[:6].ljust(6, '0')}"
        offset = match[5] or ""
        if offset not in {"", "Z"}:
            digits = offset[1:].replace(":", "").ljust(4, "0")
            if digits[:2] > "14" or digits[2:] > "59":
                return None
            offset = f"{offset[0]}{digits[:2]}:{digits[2:]}"
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{seconds}{offset}")
    except ValueError:
        return None
