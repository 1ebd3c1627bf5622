"""The OpenAPI 3.0 document of the contract alone, made from the same route table: no addition of
ours, and every schema closed. Client generators read it as they read the hosted system's own file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version

from queryrun.http.openapi import describe_headers, describe_operation
from queryrun.http.operations import Operation, Parameter, ResponseDoc
from queryrun.http.schemas import CONTRACT_SCHEMAS, EXTENSION_HEADERS, HEADERS, SCHEMAS
from queryrun.http.shapes import Schema

ABOUT = """Query runs (v2), data query jobs (v1) and tokens: what the hosted system documents, and
nothing that this service adds. Every schema is closed. Generated from the route table."""

REFERENCE = "#/components/schemas/"


def contract_of(table: Iterable[Operation]) -> dict[str, object]:
    """The document for those of these operations that are the contract's."""
    paths: dict[str, dict[str, object]] = {}
    for operation in table:
        if operation.in_contract:
            methods = paths.setdefault(operation.path, {})
            methods[operation.method.lower()] = describe_operation(_without_additions(operation))
    headers = {name: one for name, one in HEADERS.items() if name not in EXTENSION_HEADERS}
    document: dict[str, object] = {
        "openapi": "3.0.3",
        "info": {
            "title": "queryrun, the contract alone",
            "version": version("queryrun"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _reachable(paths),
            "headers": describe_headers(headers),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return {name: _in_openapi_30(value) for name, value in document.items()}


def _without_additions(operation: Operation) -> Operation:
    """Without examples too: those of the table show additions."""
    return replace(
        operation,
        parameters=tuple(_contract(one) for one in operation.parameters if not one.is_extension),
        body=None if operation.body is None else replace(operation.body, examples=()),
        responses=tuple(_plain(one) for one in operation.responses if not one.is_extension),
    )


def _contract(parameter: Parameter) -> Parameter:
    schema = parameter.contract_schema or parameter.schema
    return replace(parameter, schema=schema, addition="", example=None)


def _plain(response: ResponseDoc) -> ResponseDoc:
    headers = tuple(name for name in response.headers if name not in EXTENSION_HEADERS)
    return replace(response, headers=headers, examples=(), links=())


def _reachable(paths: object) -> dict[str, Schema]:
    """The schemas that the operations refer to, and those that these refer to."""
    found: dict[str, Schema] = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = CONTRACT_SCHEMAS.get(name, SCHEMAS[name])
            waiting += _references(found[name])
    return dict(sorted(found.items()))


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(REFERENCE):
            yield reference.removeprefix(REFERENCE)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)


def _in_openapi_30(value: object) -> object:
    """The same in the older version's words: `nullable`, and no conditions. Objects are closed."""
    if isinstance(value, list):
        return [_in_openapi_30(one) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    shape = {name: _in_openapi_30(one) for name, one in value.items() if name not in ("if", "then")}
    if isinstance(kind, list):
        (shape["type"],) = (one for one in kind if one != "null")
        shape["nullable"] = True
    if kind == "object" and "properties" in value:
        shape["additionalProperties"] = False
    return shape
