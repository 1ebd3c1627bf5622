"""The plain-data value of a run's field, from its entry in `runs/fields.py`; for both APIs."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from queryrun.http.times import iso
from queryrun.runs.fields import FieldKind, RunField
from queryrun.runs.model import Run

ABSENT = object()
"""The value of a field that this run does not have (yet): its key is left out."""

PLAIN: dict[FieldKind, Callable[..., object]] = {
    FieldKind.TEXT: str,
    FieldKind.INTEGER: int,
    FieldKind.NUMBER: float,
    FieldKind.TIME: iso,
    FieldKind.WORDS: list,
    FieldKind.PAIRS: dict,
}
"""From the record's value to JSON's, by kind."""


def value_of(field: RunField) -> Callable[[Run], object]:
    """A function that reads the field of a run, or returns `ABSENT`. Only for fields with an
    attribute and a kind of plain values."""
    plain = PLAIN[field.kind]
    parent, _, name = field.attribute.rpartition(".")
    read = attrgetter(name)
    if not parent:
        return lambda run: _plain(read(run), plain)
    read_parent = attrgetter(parent)
    return lambda run: (
        ABSENT if (record := read_parent(run)) is None else _plain(read(record), plain)
    )


def _plain(value: object, plain: Callable[..., object]) -> object:
    return ABSENT if value is None else plain(value)
