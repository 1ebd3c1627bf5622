"""The OpenAPI document: valid, committed, complete, with examples that fit; and its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import jsonschema  # type: ignore[import-untyped]  # its stubs are not among our tools
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from queryrun.http.problems import STATUSES, TYPES
from queryrun.http.routes import TABLE, full_document, operations
from queryrun.http.schemas import FILE, QUERY_RUN
from queryrun.http.v2.body import BY_NAME, create_body_schema
from queryrun.http.v2.fields import KNOWN_FIELDS
from queryrun.http.v2.render import FIELDS
from tests.http.app_harness import DEFAULT_SETTINGS, PUBLIC_URL, SELECT, AppHarness

pytestmark = pytest.mark.anyio

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
DOCUMENT: dict[str, Any] = msgspec.json.decode(full_document())


def described() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation of the document, by its id."""
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            yield operation["operationId"], operation


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_committed_copy_is_the_services_own() -> None:
    """After a change: `python docs/generate.py`."""
    assert COMMITTED.read_bytes() == full_document()


async def test_the_service_serves_it(harness: AppHarness) -> None:
    response = await harness.call("GET", "/openapi.json", token="")
    assert response.json() == {**DOCUMENT, "servers": [{"url": PUBLIC_URL}]}


def examples() -> Iterator[Any]:
    """Each example with the schema it must fit."""
    for name, operation in described():
        contents = [operation["requestBody"]] if "requestBody" in operation else []
        for where in [*contents, *operation["responses"].values()]:
            for content in where.get("content", {}).values():
                for label, example in content.get("examples", {}).items():
                    yield pytest.param(content["schema"], example["value"], id=f"{name} {label}")
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                label = f"{name} {parameter['name']}"
                yield pytest.param(parameter["schema"], parameter["example"], id=label)


@pytest.mark.parametrize(("schema", "example"), list(examples()))
def test_an_example_fits_its_schema(schema: dict[str, Any], example: Any) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(example)


def test_every_path_and_method_of_the_table_is_documented() -> None:
    documented = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert documented == {(one.method, one.path) for one in operations(DEFAULT_SETTINGS)}


def test_every_error_status_is_documented() -> None:
    documented = {int(status) for _, one in described() for status in one["responses"]}
    assert set(STATUSES.values()) | set(TYPES) <= documented


@pytest.mark.parametrize("operation", TABLE[:4], ids=lambda one: one.name)
def test_the_contracts_statuses_are_documented_on_every_query_run_operation(
    operation: Any,
) -> None:
    """The documented statuses of every operation (contract A1)."""
    responses = dict(described())[operation.name]["responses"]
    assert {"400", "401", "404", "405", "429", "500", "502", "503", "504"} <= set(responses)


@pytest.mark.parametrize("name", ["createQueryRun", "getQueryRun", "cancelQueryRun"])
def test_the_contracts_parameters_are_documented(name: str) -> None:
    """The table of parameters (contract A1)."""
    documented = {one["name"] for one in dict(described())[name]["parameters"]}
    common = {"fields[]", "query_run.fields[]", "expand[]", "filter[]", "page_size"}
    assert common | {"zuora-track-id", "zuora-entity-ids", "accept-encoding"} <= documented


def test_every_visible_field_has_a_schema() -> None:
    assert set(QUERY_RUN["properties"]) == set(FIELDS)  # type: ignore[call-overload]
    parts = {f"file.{name}" for name in FILE["properties"]}  # type: ignore[attr-defined]
    assert set(FIELDS) | (parts & KNOWN_FIELDS) == KNOWN_FIELDS


def test_the_body_schema_is_closed_and_has_every_property() -> None:
    schema = create_body_schema()
    assert set(schema["properties"]) == BY_NAME  # type: ignore[call-overload]
    assert schema["additionalProperties"] is False


def test_every_reference_resolves() -> None:
    for reference in re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', COMMITTED.read_text()):
        section, name = reference
        assert name in DOCUMENT["components"][section]


# --- the links ------------------------------------------------------------------------------


def target(response: httpx2.Response, link: dict[str, Any]) -> tuple[str, str]:
    """Method and path of the operation that a link leads to, after this response."""
    ((method, path),) = [
        (method, path)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] == link["operationId"]
    ]
    for name, expression in link["parameters"].items():
        value = response.json()
        for step in expression.removeprefix("$response.body#/").split("/"):
            value = value[step]
        path = path.replace("{" + name + "}", value)
    return method.upper(), path


def links(operation: str, status: str) -> dict[str, Any]:
    """The links of one response of an operation."""
    return dict(dict(described())[operation]["responses"][status]["links"])


async def test_links_lead_from_a_create_to_its_read_cancel_and_file(harness: AppHarness) -> None:
    created = await harness.call("POST", "/v2/query_runs", json=SELECT)
    from_create = links("createQueryRun", "201")
    await harness.complete(created.json()["id"])
    read = await harness.call(*target(created, from_create["GetQueryRun"]))
    assert read.json()["state"] == "complete"
    _, path = target(read, links("getQueryRun", "200")["DownloadFile"])
    assert read.json()["file"]["url"].startswith(PUBLIC_URL + path + "?")
    other = await harness.call("POST", "/v2/query_runs", json=SELECT)
    canceled = await harness.call(*target(other, from_create["CancelQueryRun"]))
    assert canceled.json()["state"] == "canceled"


async def test_a_link_leads_from_a_202_to_its_request(harness: AppHarness) -> None:
    later = await harness.call("POST", "/v2/query_runs", json=SELECT, headers={"async": "true"})
    request = await harness.call(*target(later, links("createQueryRun", "202")["GetRequest"]))
    assert request.json()["state"] == "succeeded"


# --- the page -------------------------------------------------------------------------------


class Page(HTMLParser):
    """The ids and links of a page, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name == "href" and tag == "a" and value:
                self.links.add(value)
            if name == "src" or tag in ("script", "link", "iframe"):
                self.loads.append(tag)


async def test_the_page_names_every_operation_and_field_and_loads_nothing(
    harness: AppHarness,
) -> None:
    response = await harness.call("GET", "/docs", token="")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = Page(response.text)
    assert {name for name, _ in described()} <= page.ids
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert page.loads == []
    for field in KNOWN_FIELDS:
        assert f"<code>{field}</code>" in response.text
