"""A run as v2 renders it (contract A5): a value and a schema for every visible field of
`runs/fields.py`.

Most follow from the field's kind. `SPECIAL` has those that do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from operator import attrgetter

import msgspec

from queryrun.http.links import Links
from queryrun.http.shapes import Schema, reference
from queryrun.http.times import iso
from queryrun.http.v2.fields import DEFAULT_FIELDS, PART_FIELDS, VISIBLE_FIELDS
from queryrun.http.v2.parameters import rendered_parameters
from queryrun.http.v2.records import (
    cancellation_object,
    complete_progress,
    failure_object,
    file_object,
    progress_object,
    run_usage_object,
)
from queryrun.http.v2.view import View
from queryrun.runs.fields import FieldKind, RunField
from queryrun.runs.model import AttemptProgress, DeletedRows, Run
from queryrun.runs.state import RunState
from queryrun.runs.usage import UsageTotals

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Extras:
    """What extension fields need in addition to the run; read only when requested."""

    queue_position: int | None = None
    waiting_for: str | None = None
    progress: AttemptProgress | None = None
    attempts: tuple[dict[str, object], ...] = ()
    usage: UsageTotals | None = None


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run and what rendering it needs."""

    run: Run
    links: Links
    extras: Extras = NO_EXTRAS
    parts: frozenset[str] = frozenset()
    """Which of `PART_FIELDS` are rendered, by their full names."""


def encode_run(details: RunDetails, view: View) -> bytes:
    """The run's JSON body."""
    return _encode(run_object(details, view))


def run_object(details: RunDetails, view: View) -> dict[str, object]:
    """The fields that the view names, as plain data, always in the table's order."""
    renderers = RENDERERS if view.fields is not None else DEFAULT_RENDERERS
    content: dict[str, object] = {}
    for name, render in renderers:
        if view.fields is None or name in view.fields:
            value = render(details)
            if value is not None:
                content[name] = value
    return content


# --- values ---------------------------------------------------------------------------------

Renderer = Callable[[RunDetails], object]
"""The value of a field as plain data. None: this run does not have it (yet); no key is written."""

OPTIONAL = frozenset(field.name for field in dataclass_fields(Run) if field.default is None)


def _renderer(field: RunField) -> Renderer:
    """Reads the field's attribute. A plain `attrgetter` where that is enough: rendering is on the
    path of every request, and a function per field costs half as much again."""
    parent, _, name = field.attribute.rpartition(".")
    if parent in OPTIONAL:
        read_parent, read_name = attrgetter(f"run.{parent}"), attrgetter(name)
        return lambda details: (
            None if (record := read_parent(details)) is None else read_name(record)
        )
    read = attrgetter(f"run.{field.attribute}")
    if field.kind is FieldKind.TIME:
        return lambda details: None if (time := read(details)) is None else iso(time)
    if field.kind is FieldKind.PAIRS:
        return lambda details: dict(read(details))
    return read


def _file(details: RunDetails) -> object:
    run = details.run
    if run.file is None:
        return None
    content = file_object(run.file, run, details.links)
    for name, render in PART_RENDERERS:
        if name in details.parts:
            content[name.rpartition(".")[2]] = render(details)
    return content


def _separator(details: RunDetails) -> object:
    output = details.run.request.output
    return output.column_separator if output.content_type.spec.needs_separator else None


def _error(details: RunDetails) -> object:
    """A run that is queued again keeps its failure, but has not failed."""
    failure = details.run.failure
    if failure is None or details.run.state is not RunState.FAILED:
        return None
    return failure_object(failure)


def _progress(details: RunDetails) -> object:
    if details.run.file is not None:
        return complete_progress(details.run.file)
    progress = details.extras.progress
    return None if progress is None else progress_object(progress)


def _cancellation(details: RunDetails) -> object:
    record = details.run.cancellation
    return None if record is None else cancellation_object(record)


def _usage(details: RunDetails) -> object:
    used = details.extras.usage
    return None if used is None else run_usage_object(used)


def _columns(details: RunDetails) -> object:
    """A list, because their order is the file's. None also when they were too many to keep."""
    if details.run.file is None or not details.run.file.columns:
        return None
    return [{"name": name, "type": kind} for name, kind in details.run.file.columns]


# --- the table ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldFormat:
    """How one field is rendered, and the JSON Schema of its value."""

    render: Renderer
    schema: Schema


def _enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


SPECIAL: dict[str, FieldFormat] = {
    "file": FieldFormat(_file, reference("File")),
    "state": FieldFormat(
        lambda details: details.run.state.public.value,
        _enum("pending", "accepted", "in_progress", "complete", "failed", "canceled"),
    ),
    "column_separator": FieldFormat(_separator, {"type": "string"}),
    "error": FieldFormat(_error, reference("RunError")),
    "queue_position": FieldFormat(
        attrgetter("extras.queue_position"), {"type": "integer", "minimum": 0}
    ),
    "waiting_for": FieldFormat(attrgetter("extras.waiting_for"), {"type": "string"}),
    "progress": FieldFormat(_progress, reference("Progress")),
    "cancellation": FieldFormat(_cancellation, reference("Cancellation")),
    "attempts": FieldFormat(
        lambda details: list(details.extras.attempts),
        {"type": "array", "items": reference("Attempt")},
    ),
    "usage": FieldFormat(_usage, reference("Usage")),
    "columns": FieldFormat(
        _columns,
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                "required": ["name", "type"],
                "additionalProperties": False,
            },
        },
    ),
    "parameters": FieldFormat(
        lambda details: rendered_parameters(details.run.request.parameters),
        {"type": "array", "items": reference("StatementParameter")},
    ),
    "read_deleted": FieldFormat(
        lambda details: details.run.request.deleted_rows is not DeletedRows.EXCLUDE,
        {"type": "boolean"},
    ),
}
"""Fields that are computed, depend on another one, or differ from the record's value."""

SCHEMAS_BY_KIND: dict[FieldKind, Schema] = {
    FieldKind.TEXT: {"type": "string"},
    FieldKind.INTEGER: {"type": "integer", "format": "int64", "minimum": 0},
    FieldKind.NUMBER: {"type": "number"},
    FieldKind.TIME: {"type": "string", "format": "date-time"},
    FieldKind.WORDS: {"type": "array", "items": {"type": "string"}},
    FieldKind.PAIRS: {"type": "object", "additionalProperties": {"type": "string"}},
}
UUIDS = frozenset({"id", "created_by_id"})


def _field_format(field: RunField) -> FieldFormat:
    """The field's own entry, or what follows from its kind; described either way."""
    special = SPECIAL.get(field.name)
    if special is None:
        special = FieldFormat(_renderer(field), _schema_of(field))
    if "$ref" in special.schema:  # described at its target
        return special
    description = field.description
    if field.kind is FieldKind.TIME:
        description += " ISO 8601 in UTC with milliseconds."
    return FieldFormat(special.render, {**special.schema, "description": description})


def _schema_of(field: RunField) -> Schema:
    schema = dict(SCHEMAS_BY_KIND[field.kind])
    if field.choices is not None:
        schema["enum"] = [choice.value for choice in field.choices]
    if field.name in UUIDS:
        schema["format"] = "uuid"
    return schema


FIELDS: dict[str, FieldFormat] = {field.name: _field_format(field) for field in VISIBLE_FIELDS}
"""Every visible field, in the table's order."""

PARTS: dict[str, FieldFormat] = {field.name: _field_format(field) for field in PART_FIELDS}
"""Every key of a nested object that is named in full."""

PART_RENDERERS = [(name, part.render) for name, part in PARTS.items()]
RENDERERS = [(name, field.render) for name, field in FIELDS.items()]
DEFAULT_RENDERERS = [(name, render) for name, render in RENDERERS if name in DEFAULT_FIELDS]
