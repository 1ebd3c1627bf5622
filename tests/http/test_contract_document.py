"""`docs/reference/openapi-contract.json`: the contract alone, with closed schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not among our tools
import pytest
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

from queryrun.http.routes import TABLE, contract_document
from queryrun.http.v2.fields import DEFAULT_FIELDS
from queryrun.results.formats import ContentEncoding, ContentType
from tests.clients import generated_clients
from tests.http.contract_schema import DOCUMENT, PATH

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def test_it_is_valid_openapi() -> None:
    OpenAPIV30SpecValidator(DOCUMENT).validate()


def test_the_committed_copy_is_made_from_the_route_table() -> None:
    """After a change: `python docs/generate.py`."""
    assert PATH.read_bytes() == contract_document()


def test_it_has_the_operations_of_the_contract() -> None:
    found = {
        operation["operationId"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    }
    assert found == {one.name for one in TABLE if one.in_contract}
    assert found == {
        *("createQueryRun", "getQueryRun", "cancelQueryRun", "createToken"),
        *("createDataQueryJob", "listDataQueryJobs", "getDataQueryJob", "cancelDataQueryJob"),
    }


def objects(value: Any, where: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object, wherever it is."""
    if isinstance(value, dict):
        if value.get("type") == "object":
            yield where, value
        for name, one in value.items():
            yield from objects(one, f"{where}.{name}")
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from objects(one, f"{where}[{number}]")


@pytest.mark.parametrize(
    ("where", "schema"), list(objects(DOCUMENT)), ids=lambda one: str(one)[:60]
)
def test_every_schema_is_closed(where: str, schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False
    assert schema["properties"]


def test_a_run_has_the_fields_of_the_contract_and_no_other() -> None:
    assert list(SCHEMAS["QueryRun"]["properties"]) == list(DEFAULT_FIELDS)
    assert set(SCHEMAS["File"]["properties"]) == {"id", "url", "content_type", "type"}
    assert "required" not in SCHEMAS["QueryRun"], "`fields[]` may leave any of them out"


def test_nothing_that_we_add_is_in_it() -> None:
    text = PATH.read_text(encoding="utf-8")
    formats = {one.value for one in (*ContentType, *ContentEncoding) if one.spec.is_extension}
    ours = {"created_time", "started_time", "progress", "cancellation", "attempts", "sha256"}
    ours |= {*formats, "prefer", "queryrun-error-code", "idempotency-replayed", "queue_position"}
    assert not [name for name in ours if f'"{name}"' in text]
    assert "ddition of this service" not in text
    assert set(SCHEMAS["CreateQueryRun"]["properties"]) == {
        *("sql", "content_type", "content_encoding", "column_separator"),
        *("encryption_key", "read_deleted"),
    }


@pytest.mark.parametrize(
    ("name", "key"), [("QueryRun", "error"), ("File", "size"), ("Problem", "detail")]
)
def test_an_unknown_key_does_not_fit(name: str, key: str) -> None:
    """The validator that judges responses does judge."""
    schema = {**SCHEMAS[name], "required": [], "components": DOCUMENT["components"]}
    OAS30Validator(schema).validate({})
    with pytest.raises(jsonschema.ValidationError):
        OAS30Validator(schema).validate({key: 1})


def test_the_contract_has_a_row_for_every_generated_client() -> None:
    """With the version that the tests fetch."""
    pom = (generated_clients.HERE / "pom.xml").read_text(encoding="utf-8")
    found = re.search(r"openapi-generator-cli</artifactId>\s*<version>([^<]+)<", pom)
    assert found is not None
    page = (PATH.parent / "contract.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| openapi-generator ")]
    assert len(rows) == len(generated_clients.LANGUAGES)
    for row, language in zip(rows, generated_clients.LANGUAGES, strict=True):
        assert row.lower().startswith(f"| openapi-generator {found[1]}, {language}")
