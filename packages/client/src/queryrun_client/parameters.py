"""Values for `:name` and `?` of a statement, as the server takes them: a type and a text.

Each Python value has one type of SQL, whatever its size, so that a statement means the same for
every value; `Parameter` says another one.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

MAX_BIGINT = 2**63


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value with its type as Trino names it: `Parameter("12.3", "decimal(10, 2)")`.

    `value` may be a text in the form of that type, or a Python value. Needed for an empty list, for
    JSON and for a NULL of a certain type.
    """

    value: Any = field(repr=False)
    type: str


Parameters = Mapping[str, Any] | Sequence[Any]
"""By name for `:name`, or in their order for `?`."""


def parameters_of(parameters: Parameters) -> list[dict[str, str]]:
    """The property `parameters` of a request. `TypeError` names a value that has no type of SQL."""
    if isinstance(parameters, Mapping):
        return [{"name": str(name), **_described(f":{name}", value)}
                for name, value in parameters.items()]  # fmt: skip
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence):
        raise TypeError("parameters must be a mapping of names, or a list for ?")
    return [_described(f"number {n}", value) for n, value in enumerate(parameters, 1)]


def _described(name: str, value: Any) -> dict[str, str]:
    try:
        kind, text = typed(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"parameter {name}: {error}") from None
    content = {"type": kind} if kind else {}
    return content if text is None else {**content, "value": text}


def _plain(value: Any) -> Any:
    """A number or truth value of numpy, as a cell of a data frame is one, as Python's own."""
    is_number = type(value).__module__ == "numpy" and value.dtype.kind in "biuf"
    return value.item() if is_number and value.ndim == 0 else value


def typed(value: Any) -> tuple[str, str | None]:
    """The type and the text of a value; no type for None, no text for NULL."""
    if value is None:
        return "", None
    if isinstance(value, Parameter):
        return value.type, None if value.value is None else _text(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return _array(list(value))
    value = _plain(value)
    for kind, types, to_text in _KINDS:
        if isinstance(value, types):
            return kind(value) if callable(kind) else kind, to_text(value)
    raise TypeError(
        f"{type(value).__name__} has no type of SQL here; give a text and its type: "
        "Parameter('1.5', 'decimal(10, 2)')"
    )


def _text(value: Any) -> str:
    """A value whose type is said; a list is written as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return json.dumps([None if item is None else _item(item) for item in value])
    text = typed(value)[1]
    return "" if text is None else text


def _item(value: Any) -> Any:
    return [_item(one) for one in value] if isinstance(value, list | tuple) else _text(value)


def _array(items: list[Any]) -> tuple[str, str]:
    """All elements have one type; of numbers, the one that holds them all."""
    found = [typed(item) for item in items]
    kinds = {kind for kind, _ in found if kind}
    if not kinds:
        raise TypeError("a list without a value has no type: Parameter([], 'array(bigint)')")
    if kinds == {"decimal"} or kinds == {"decimal", "bigint"}:
        kind = _decimal_of([text for _, text in found if text is not None])
    elif kinds == {"double", "bigint"}:
        kind = "double"
    elif len(kinds) > 1:
        raise TypeError(f"a list has one type, not {' and '.join(sorted(kinds))}")
    else:
        kind = kinds.pop()
    texts = [json.loads(text) if one.startswith("array(") and text else text for one, text in found]
    return f"array({kind})", json.dumps(texts)


def _decimal_of(texts: Iterable[str]) -> str:
    parts = [text.lstrip("-").partition(".") for text in texts]
    whole = max(len(one.lstrip("0")) for one, _, _ in parts)
    scale = max(len(fraction) for _, _, fraction in parts)
    return f"decimal({max(whole + scale, 1)}, {scale})"


# --- one value ------------------------------------------------------------------------------


def _whole(value: int) -> str:
    return "bigint" if -MAX_BIGINT <= value < MAX_BIGINT else "decimal"


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("a decimal is a number")
    return format(value, "f")


def _float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("-" if value < 0 else "") + "Infinity"


def _moment(value: datetime) -> str:
    """Microseconds always, so that the type does not depend on the value."""
    if getattr(value, "nanosecond", 0):
        raise ValueError("a time with nanoseconds: give its text, Parameter(…, 'timestamp(9)')")
    text = value.isoformat(" ", "microseconds")
    if value.tzinfo is None:
        return text
    offset = re.fullmatch(r"(.{26})([+-]\d\d:\d\d)", text)
    if offset is None:
        raise ValueError("the time zone's offset has seconds")
    return f"{offset[1]} {offset[2]}"


def _zoned(value: datetime) -> str:
    return "timestamp" if value.tzinfo is None else "timestamp with time zone"


def _clock(value: time) -> str:
    if value.tzinfo is not None:
        raise ValueError("a time of day has no time zone here")
    return value.isoformat("microseconds")


_KINDS: tuple[tuple[str | Callable[[Any], str], type | tuple[type, ...], Callable[[Any], str]], ...]
_KINDS = (
    ("boolean", bool, lambda value: str(value).lower()),
    (_whole, int, str),
    ("varchar", str, str),
    ("decimal", Decimal, _decimal),
    ("double", float, _float),
    (_zoned, datetime, _moment),
    ("date", date, lambda value: value.isoformat()),
    ("time", time, _clock),
    ("uuid", UUID, str),
    ("varbinary", (bytes, bytearray, memoryview), lambda value: base64.b64encode(value).decode()),
)
"""The first that fits: a bool is an int, a datetime is a date."""
