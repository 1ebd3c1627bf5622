"""The values that a request gives a statement's `?` and `:name`: each a type and a text.

A value is never a part of the statement's text. It is checked here when the run is submitted, and
stands in the syntax tree as a literal of its type (`trino/markers.py`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from queryrun.sql.json_text import NotJsonError, parsed

MAX_PARAMETERS = 1000
MAX_VALUE_CHARS = 65_536
MAX_ALL_CHARS = 262_144
"""Of all values of one run together: they are kept with the run."""
MAX_DEPTH = 5
"""Of arrays in arrays."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value. `name` is empty for a `?`; `value` is None for NULL; `type` is Trino's, empty for
    a NULL of any type."""

    name: str
    type: str
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ParameterType:
    """A type that a value can have: `base` in lower case, with what stood in its brackets."""

    base: str
    numbers: tuple[int, ...] = ()
    element: ParameterType | None = None
    """Of an array."""


class BadParameterError(ValueError):
    """A type that no value can have, or a text that is no value of its type. Never has the value
    in its message."""


def parameters_problem(parameters: Sequence[Parameter]) -> str | None:
    """What is wrong with them all together, or with one of them; it names which, never a value."""
    if len(parameters) > MAX_PARAMETERS:
        return f"must be at most {MAX_PARAMETERS} values"
    if sum(len(one.value or "") for one in parameters) > MAX_ALL_CHARS:
        return f"must have at most {MAX_ALL_CHARS} characters together"
    names = [one.name.lower() for one in parameters if one.name]
    if names and len(names) < len(parameters):
        return "must all have names, for `:name`, or none, for `?`"
    if len(set(names)) < len(names):
        return "must have different names; case makes no difference"
    for number, one in enumerate(parameters, 1):
        try:
            check(one)
        except BadParameterError as error:
            return f"{one.name or f'number {number}'}: {error}"
    return None


def check(parameter: Parameter) -> None:
    """Raises `BadParameterError` unless the value is one of its type."""
    if parameter.name and not NAME.fullmatch(parameter.name):
        raise BadParameterError("a name has letters, digits and _, and starts with no digit")
    if not parameter.type and parameter.value is None:
        return
    kind = parsed_type(parameter.type)
    if parameter.value is None:
        return
    if len(parameter.value) > MAX_VALUE_CHARS:
        raise BadParameterError(f"a value has at most {MAX_VALUE_CHARS} characters")
    if any(is_no_text(character) for character in parameter.value):
        raise BadParameterError("the value has a character that is not text")
    if kind.element is not None:
        array_items(kind, parameter.value)
    else:
        _check_scalar(kind, parameter.value)


def is_no_text(character: str) -> bool:
    """NUL and halves of a surrogate pair: no engine has them in a text."""
    return character == "\0" or "\ud800" <= character <= "\udfff"


def parsed_type(text: str) -> ParameterType:
    """`decimal(10, 2)`, `array(date)`. Raises `BadParameterError` for one that is not offered."""
    return _type(text.strip().lower(), 0)


def _type(text: str, depth: int) -> ParameterType:
    if text.startswith("array(") and text.endswith(")") and depth < MAX_DEPTH:
        return ParameterType("array", element=_type(text[6:-1].strip(), depth + 1))
    match = _TYPE.fullmatch(text)
    base = "" if match is None else " ".join(f"{match[1]} {match[3] or ''}".split())
    base = {"int": "integer", "double precision": "double"}.get(base, base)
    if match is None or base not in _CHECKS:
        raise BadParameterError(f"the type must be one of {', '.join(_CHECKS)} or array(…)")
    numbers = tuple(int(one) for one in (match[2] or "").split(",") if one)
    if len(numbers) > _NUMBERS.get(base, 0):
        raise BadParameterError(f"the type {base} does not take so many numbers in brackets")
    _check_size(base, numbers)
    return ParameterType(base, numbers)


def _check_size(base: str, numbers: tuple[int, ...]) -> None:
    """Where the numbers of a type would not be one."""
    if base == "decimal" and numbers:
        scale = numbers[1] if len(numbers) > 1 else 0
        if not (1 <= numbers[0] <= 38 and scale <= numbers[0]):
            raise BadParameterError("decimal(p, s) has p from 1 to 38 and s up to p")
    if base.startswith("time") and numbers and numbers[0] > 12:
        raise BadParameterError(f"{base} has at most 12 digits of a second")
    if base in {"char", "varchar"} and numbers and not 1 <= numbers[0] <= 65_536:
        raise BadParameterError(f"{base}(n) has n from 1 to 65536")


_TYPE = re.compile(
    r"([a-z]++(?: precision)?+)\s*+"
    r"(?:\(\s*+([0-9]{1,6}(?:\s*+,\s*+[0-9]{1,6})?)\s*+\))?+\s*+(with time zone)?+"
)
"""Gives no blanks back: a text of blanks that is no type would take quadratic time."""
_NUMBERS = {
    "decimal": 2, "char": 1, "varchar": 1, "time": 1, "timestamp": 1,
    "timestamp with time zone": 1,
}  # fmt: skip


def array_items(kind: ParameterType, text: str) -> list[object]:
    """The elements of an array's JSON text: None, texts and, for arrays in arrays, lists.

    Numbers keep the digits that were written. Raises `BadParameterError`.
    """
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise BadParameterError("an array is written as JSON: [1, 2, null]") from error
    return _items(kind, found)


def _items(kind: ParameterType, found: object) -> list[object]:
    if not isinstance(found, list) or kind.element is None:
        raise BadParameterError("an array is written as JSON: [1, 2, null]")
    items: list[object] = []
    for item in found:
        if item is None:
            items.append(None)
        elif kind.element.element is not None:
            items.append(_items(kind.element, item))
        elif isinstance(item, bool | str):
            text = item if isinstance(item, str) else str(item).lower()
            _check_scalar(kind.element, text)
            items.append(text)
        else:
            raise BadParameterError(f"an element is no {kind.element.base}")
    return items


# --- texts of types -------------------------------------------------------------------------


def _check_scalar(kind: ParameterType, text: str) -> None:
    if any(is_no_text(character) for character in text):
        raise BadParameterError("the value has a character that is not text")
    if not _CHECKS[kind.base](text):
        raise BadParameterError(f"the value is no {kind.base}: write it as {_EXAMPLES[kind.base]}")
    if kind.base in {"char", "varchar"} and kind.numbers and len(text) > kind.numbers[0]:
        raise BadParameterError(f"the value is longer than {kind.base}({kind.numbers[0]})")
    if kind.base == "decimal":
        _check_digits(kind.numbers, text)


def _check_digits(numbers: tuple[int, ...], text: str) -> None:
    """A decimal of that many digits, without rounding."""
    whole, _, fraction = text.lstrip("+-").partition(".")
    whole = whole.lstrip("0")
    precision, scale = (*numbers, 0)[:2] if numbers else (38, len(fraction))
    if len(fraction.rstrip("0") if numbers else fraction) > scale or len(whole) > precision - scale:
        raise BadParameterError(f"the value has more digits than decimal({precision}, {scale})")


def _whole(bits: int) -> Callable[[str], bool]:
    limit: int = 2 ** (bits - 1)

    def check_one(text: str) -> bool:
        return bool(_WHOLE.fullmatch(text)) and -limit <= int(text) < limit

    return check_one


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text))


def _is_timestamp(text: str) -> bool:
    day, _, time = text.replace("T", " ", 1).partition(" ")
    return _is_date(day) and (not time or _is_time(time))


def _is_moment(text: str) -> bool:
    match = _ZONE.fullmatch(text)
    return match is not None and _is_timestamp(match[1].rstrip())


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        parsed(text)
    except NotJsonError:
        return False
    return True


_WHOLE = re.compile(r"[+-]?[0-9]{1,38}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,38}(?:\.[0-9]{0,38})?|\.[0-9]{1,38})")
_FLOATING = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?"
    r"|NaN|[+-]?Infinity"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,12})?)?")
_ZONE = re.compile(
    r"(.*?)(?<!\s)\s*+(Z|[+-][0-9]{2}:[0-9]{2}|(?<=\s)[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)"
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_CHECKS: dict[str, Callable[[str], bool]] = {
    "varchar": lambda _text: True,
    "char": lambda _text: True,
    "boolean": lambda text: text in {"true", "false"},
    "tinyint": _whole(8),
    "smallint": _whole(16),
    "integer": _whole(32),
    "bigint": _whole(64),
    "decimal": lambda text: bool(_DECIMAL.fullmatch(text)),
    "real": lambda text: bool(_FLOATING.fullmatch(text)),
    "double": lambda text: bool(_FLOATING.fullmatch(text)),
    "date": _is_date,
    "time": _is_time,
    "timestamp": _is_timestamp,
    "timestamp with time zone": _is_moment,
    "uuid": lambda text: bool(_UUID.fullmatch(text)),
    "varbinary": _is_base64,
    "json": _is_json,
}
_EXAMPLES = {
    "boolean": "true or false",
    "tinyint": "-128 to 127",
    "smallint": "-32768 to 32767",
    "integer": "-2147483648 to 2147483647",
    "bigint": "a whole number of 64 bits",
    "decimal": "12.30",
    "real": "1.5e0",
    "double": "1.5e0",
    "date": "2024-01-31",
    "time": "23:59:59.123",
    "timestamp": "2024-01-31 23:59:59.123",
    "timestamp with time zone": "2024-01-31 23:59:59.123 +02:00",
    "uuid": "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90",
    "varbinary": "Base64",
    "json": "JSON",
}
TYPES = tuple(_CHECKS)
"""The types of single values; an array of one of them is a type too."""
