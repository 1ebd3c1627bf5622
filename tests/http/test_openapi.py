"""The OpenAPI document: valid, committed, complete, with examples that fit; and its page."""

from __future__ import annotations

import ast
import base64
import hashlib
import re
import shlex
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
from queryrun.http.samples import body_text, samples
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


def test_the_lowest_success_is_what_an_operation_usually_returns() -> None:
    """Generators take it for the result; what a client asks for specially is 2XX."""
    for operation in operations(DEFAULT_SETTINGS):
        responses = dict(described())[operation.name]["responses"]
        assert min(status for status in responses if status < "4") == str(
            operation.responses[0].status
        )
    created = dict(described())["createQueryRun"]["responses"]
    assert created["2XX"]["content"]["application/json"]["schema"]["$ref"].endswith("/DryRun")


def test_every_path_and_method_of_the_table_is_documented() -> None:
    documented = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert documented == {(one.method, one.path) for one in operations(DEFAULT_SETTINGS)}


def test_every_error_status_is_documented() -> None:
    documented = {
        int(status) for _, one in described() for status in one["responses"] if status != "2XX"
    }
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
            if name == "src" or tag in ("link", "iframe"):
                self.loads.append(tag)


def test_every_operation_has_samples_that_can_be_parsed() -> None:
    """In a shell and in Python; the bodies are those of the examples, forms as forms."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            found = samples({"method": method.upper(), "path": path, **operation})
            ast.parse(found["Python"])
            words = shlex.split(found["curl"].replace("\\\n", " "))
            assert words[:3] == ["curl", "-X", method.upper()]
            assert ("authorization: Bearer $QUERYRUN_TOKEN" in words) == bool(operation["security"])
            assert f'method: "{method.upper()}"' in found["JavaScript"]
    token = {"method": "POST", "path": "/oauth/token", **dict(described())["createToken"]}
    assert "grant_type=client_credentials" in shlex.split(samples(token)["curl"])
    assert "grant_type=client_credentials" in body_text(token)


def test_a_sample_is_quoted_for_its_language() -> None:
    hostile = {"sql": "SELECT 'it''s', \"$x\", `y`, '\\n'"}
    content = {"application/json": {"examples": {"one": {"value": hostile}}}}
    operation = {"method": "POST", "path": "/v2/x", "requestBody": {"content": content}}
    found = samples(operation)
    words = shlex.split(found["curl"].replace("\\\n", " "))
    assert msgspec.json.decode(words[words.index("-d") + 1]) == hostile
    (call,) = (one for one in ast.walk(ast.parse(found["Python"])) if isinstance(one, ast.keyword))
    assert ast.literal_eval(call.value) == hostile


async def test_the_page_has_one_script_which_its_policy_names(harness: AppHarness) -> None:
    response = await harness.call("GET", "/docs", token="")
    (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "connect-src 'self'" in policy
    assert not re.findall(r"\son[a-z]+=", response.text.replace(script, "")), "no inline handlers"


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
