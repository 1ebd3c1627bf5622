"""JSON arrays and objects as arrays and rows: one type that keeps every value of a column."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

MAX_FIELDS = 1_000
MAX_DEPTH = 50
"""Of arrays and rows in one another. What is deeper stays JSON: types are walked recursively by
everything that reads them."""
_MAX_EXACT = 2**53


class InexactError(Exception):
    """No type of arrays and rows keeps a value; the column stays JSON."""


@dataclass(slots=True)
class Shape:
    """What has been seen at one place of the values of a column."""

    sorts: set[str] = field(default_factory=set)
    element: Shape | None = None
    fields: dict[str, Shape] = field(default_factory=dict)
    is_inexact: bool = False
    """Some value cannot be kept by any type."""

    def observe(self, texts: Iterable[str | None]) -> None:
        """See those of a column's values that are arrays or objects."""
        if self.is_inexact:
            return
        try:
            for value in decoded(t for t in texts if t is not None and t[0] in "[{"):
                self.add(value)
        except (InexactError, ValueError, RecursionError):
            self.is_inexact = True
            self.element, self.fields = None, {}

    def add(self, value: Any, depth: int = 0) -> None:
        """See one value, decoded by `decoded`. Raises `InexactError` when no type is to have it."""
        if value is None:
            return
        if depth > MAX_DEPTH:
            raise InexactError
        if isinstance(value, list):
            self.sorts.add("array")
            self.element = self.element or Shape()
            for item in value:
                self.element.add(item, depth + 1)
        elif isinstance(value, dict):
            self.sorts.add("row")
            for key, item in value.items():
                self.fields.setdefault(key, Shape()).add(item, depth + 1)
            if len(self.fields) > MAX_FIELDS:
                raise InexactError
        else:
            self.sorts.add(_sort(value))

    def merge(self, other: Shape) -> None:
        """See everything that another shape has seen."""
        self.sorts |= other.sorts
        if other.element:
            self.element = self.element or Shape()
            self.element.merge(other.element)
        for key, shape in other.fields.items():
            self.fields.setdefault(key, Shape()).merge(shape)

    def to_json(self) -> dict[str, Any]:
        """As plain data, to be remembered."""
        return {
            "sorts": sorted(self.sorts),
            "element": self.element.to_json() if self.element else None,
            "fields": {key: shape.to_json() for key, shape in self.fields.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Shape:
        """What `to_json` has written."""
        return cls(
            set(data["sorts"]),
            cls.from_json(data["element"]) if data["element"] else None,
            {key: cls.from_json(shape) for key, shape in data["fields"].items()},
        )

    def arrow_type(self) -> pa.DataType:
        """The type; raises `InexactError` when the values are of several sorts."""
        if self.sorts == {"array"} and self.element:
            return pa.list_(self.element.arrow_type())
        if self.sorts == {"row"} and self.fields:
            lower = {name.lower() for name in self.fields}
            if len(lower) < len(self.fields) or "" in lower:
                raise InexactError
            return pa.struct([(name, shape.arrow_type()) for name, shape in self.fields.items()])
        for sorts, kind in _TYPES:
            if self.sorts <= sorts:
                return kind
        raise InexactError


_TYPES: tuple[tuple[set[str], pa.DataType], ...] = (
    (set(), pa.string()),
    ({"text"}, pa.string()),
    ({"boolean"}, pa.bool_()),
    ({"small", "integer"}, pa.int64()),
    ({"small", "number"}, pa.float64()),
)


class _Number(float):
    """A number that is not whole."""


def decoded(texts: Iterable[str | None]) -> Iterable[Any]:
    """The values. Raises `InexactError` for a number that no type of 64 bits keeps."""
    decoder = json.JSONDecoder(parse_float=_number, parse_constant=_refused)
    for text in texts:
        yield None if text is None else decoder.decode(text)


def _number(text: str) -> _Number:
    """Kept when the double prints the digits that were there."""
    from decimal import Decimal

    value = _Number(text)
    if Decimal(repr(float(value))) != Decimal(text):
        raise InexactError
    return value


def _refused(_: str) -> float:
    raise InexactError


def _sort(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, _Number):
        return "number"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return "small" if abs(value) <= _MAX_EXACT else "integer"
    raise InexactError
