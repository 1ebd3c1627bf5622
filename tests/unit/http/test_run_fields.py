"""Every visible field of `runs/fields.py` has all that callers need: a value, a schema, a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not among our tools
import pytest

from queryrun.errors import Failure, FailureCode
from queryrun.http.links import Links
from queryrun.http.schemas import SCHEMAS
from queryrun.http.v2.fields import DEFAULT_FIELDS, KNOWN_FIELDS, PART_FIELDS, VISIBLE_FIELDS
from queryrun.http.v2.filters import FIELD_KINDS, parse_clause
from queryrun.http.v2.render import FIELDS, SPECIAL, Extras, RunDetails, run_object
from queryrun.http.v2.view import CONTRACT_VIEW, View
from queryrun.results.formats import ContentType
from queryrun.runs.fields import FieldKind, RunField
from queryrun.runs.model import (
    AttemptProgress,
    Cancellation,
    EngineStop,
    Output,
    ResultFile,
    Run,
    RunRequest,
    Stage,
    StopReason,
)
from queryrun.runs.state import RunState
from queryrun.runs.usage import NO_USAGE
from queryrun.sql.parameters import Parameter
from tests.http.app_harness import MemoryResults

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ID = "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
LINKS = Links("http://queries.test", b"secret", 1_795_493_407, MemoryResults(), 3600)

REQUEST = RunRequest(
    tenant_id="tenant-1",
    entity_id="11111111-1111-4111-8111-111111111111",
    client_id="1c7d3b4e-1111-4b6a-9a7e-5b8f2f7a0001",
    source="live",
    sql="SELECT 1",
    output=Output(ContentType.DSV, column_separator="|"),
    timeout_s=60.0,
    tags=(("team", "billing"),),
    notify_url="https://receiver.test/",
    cancel_on_disconnect_s=1.5,
    parameters=(Parameter("n", "bigint", "1"),),
)
ACCEPTED = Run(ID, REQUEST, RunState.ACCEPTED, 0, 3, NOW, NOW, NOW)
COMPLETE = replace(
    ACCEPTED,
    state=RunState.COMPLETE,
    started_time=NOW + timedelta(seconds=1),
    file=ResultFile(f"{ID}_1.csv", 10, "00" * 32, 3, (("n", "bigint"),)),
    processing_ms=6519,
)
FAILED = replace(
    ACCEPTED,
    state=RunState.FAILED,
    started_time=NOW,
    failure=Failure(FailureCode.NAME_NOT_FOUND, "Table x does not exist", 1, 15),
    cancellation=Cancellation(
        NOW, StopReason.TIMEOUT, ID, Stage.EXECUTING, EngineStop.KILLED, canceled_time=NOW
    ),
)
EXTRAS = Extras(
    queue_position=1,
    waiting_for="turn",
    progress=AttemptProgress(Stage.WRITING, 50.0, 10, 100),
    usage=NO_USAGE,
    attempts=({"number": 1, "started_time": "2026-11-28T00:00:00.000Z"},),
)
EVERYTHING = View(KNOWN_FIELDS)


def rendered() -> Iterator[dict[str, object]]:
    """Runs with every field that each of them can have."""
    for run in (ACCEPTED, COMPLETE, FAILED):
        yield run_object(
            RunDetails(run, LINKS, EXTRAS, parts=frozenset(field.name for field in PART_FIELDS)),
            EVERYTHING,
        )


def test_every_visible_field_is_rendered_for_some_run() -> None:
    assert set().union(*rendered()) == {field.name for field in VISIBLE_FIELDS}


def test_fields_are_rendered_in_the_order_of_the_table() -> None:
    for content in rendered():
        assert list(content) == [field.name for field in VISIBLE_FIELDS if field.name in content]


def test_no_extension_is_rendered_without_being_named() -> None:
    for run in (ACCEPTED, COMPLETE, FAILED):
        content = run_object(RunDetails(run, LINKS), CONTRACT_VIEW)
        assert set(content) <= set(DEFAULT_FIELDS)
        file = content.get("file", {})
        assert isinstance(file, dict)
        assert set(file) <= {"id", "url", "content_type", "type"}


def test_every_value_fits_its_schema() -> None:
    schema: dict[str, Any] = {"components": {"schemas": SCHEMAS}, **SCHEMAS["QueryRun"]}
    for content in rendered():
        jsonschema.Draft202012Validator(schema).validate(content)


@pytest.mark.parametrize("field", VISIBLE_FIELDS, ids=lambda field: field.name)
def test_every_field_is_described(field: RunField) -> None:
    schema = FIELDS[field.name].schema
    if "$ref" in schema:
        assert field.kind is FieldKind.RECORD
        schema = SCHEMAS[str(schema["$ref"]).rpartition("/")[2]]
    assert schema["description"]


def test_special_formats_are_those_of_visible_fields() -> None:
    assert set(SPECIAL) <= {field.name for field in VISIBLE_FIELDS}


SAMPLES = {
    FieldKind.TEXT: "x",
    FieldKind.INTEGER: "1",
    FieldKind.NUMBER: "1.5",
    FieldKind.TIME: "2026-11-28",
}


@pytest.mark.parametrize("name", FIELD_KINDS)
def test_every_filterable_field_takes_a_condition(name: str) -> None:
    assert parse_clause(f"{name}.EQ:{SAMPLES[FIELD_KINDS[name]]}").field == name
