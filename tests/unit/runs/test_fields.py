"""The table of a run's fields: it covers the record, and every name means one thing."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from queryrun.runs.fields import RUN_FIELDS, STORED_FIELDS, FieldKind, Visibility, visible_fields
from queryrun.runs.model import Run


def attributes(record: type[Any], path: str = "") -> set[str]:
    """Every attribute of a record and of the records in it, as paths."""
    found: set[str] = set()
    hints = get_type_hints(record)
    for field in fields(record):
        hint = hints[field.name]
        nested = () if get_origin(hint) is tuple else get_args(hint) or (hint,)
        parts = [one for one in nested if is_dataclass(one)]
        found |= (
            attributes(parts[0], f"{path}{field.name}.")  # type: ignore[arg-type]  # a class
            if parts
            else {path + field.name}
        )
    return found


def test_every_attribute_of_a_run_has_one_stored_field() -> None:
    assert Counter(field.attribute for field in STORED_FIELDS) == Counter(attributes(Run))


def test_names_and_columns_are_unique() -> None:
    assert max(Counter(field.name for field in RUN_FIELDS).values()) == 1
    assert max(Counter(field.column for field in STORED_FIELDS).values()) == 1


def test_what_callers_read_is_described() -> None:
    for field in visible_fields(*(one for one in Visibility if one is not Visibility.INTERNAL)):
        assert field.description.endswith("."), field.name


def test_what_callers_filter_by_is_a_plain_value_that_they_can_read() -> None:
    for field in RUN_FIELDS:
        if field.filterable:
            assert field.visibility is not Visibility.INTERNAL
            assert field.kind in {
                FieldKind.TEXT,
                FieldKind.INTEGER,
                FieldKind.NUMBER,
                FieldKind.TIME,
            }
            assert field.attribute
