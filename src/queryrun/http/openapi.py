"""The OpenAPI 3.1 document, made from the route table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from queryrun.http.api_version import ApiVersion, api_version_of
from queryrun.http.examples import BAD_REQUEST, TOO_LATE
from queryrun.http.operations import Operation, Parameter, RequestBody, ResponseDoc
from queryrun.http.problems import TYPES
from queryrun.http.responses import JSON
from queryrun.http.schemas import ALWAYS, CONCURRENCY, HEADERS, RATES, SCHEMAS

ABOUT = """Submit SQL, get a durable run, download its result file; cancel, with confirmation that
the work has stopped.

Get a token at `/oauth/token` and send it as `Authorization: Bearer …`. Create a run, read it until
`state` is `complete`, `failed` or `canceled` (`Prefer: wait=60` saves polling), download
`file.url`. `errors` lists what is wrong with a request, and `retryable` tells whether the same
request may succeed later."""

ERROR_HEADERS = {
    401: ("www-authenticate",),
    405: ("allow",),
    409: ("retry-after",),
    416: ("content-range",),
    429: ("retry-after",),
    503: ("retry-after",),
}
MEANINGS = {
    400: "The request is invalid. Every problem has an entry.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The client may not do this, or not in this entity.",
    404: "It does not exist, or belongs to another client.",
    405: "The path has other methods.",
    409: "The first request with this idempotency key is still in progress.",
    413: "The body is too large.",
    415: "The body has the wrong type or encoding.",
    416: "The range is outside the file.",
    422: "This idempotency key belongs to a different request.",
    429: "Too many requests, or too many runs waiting.",
    500: "Internal error.",
    502: "A proxy in front of the service failed.",
    503: "The service is shutting down, or a dependency is not available.",
    504: "No response in time.",
}


def openapi(table: Iterable[Operation]) -> dict[str, object]:
    """The document for these operations."""
    paths: dict[str, dict[str, object]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method.lower()] = describe_operation(
            operation
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "queryrun",
            "version": version("queryrun"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**SCHEMAS, "AnyObject": {"type": "object", "description": "Any object."}},
            "headers": describe_headers(HEADERS),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token from `/oauth/token`.",
                }
            },
        },
    }


def describe_operation(operation: Operation) -> dict[str, object]:
    """One operation of the document. A response of the table replaces the general error of its
    status."""
    shape: dict[str, object] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": [{"bearer": []}] if operation.scope else [],
    }
    if operation.scope is not None:
        scope = f"Needs the scope `{operation.scope}`."
        shape["description"] = f"{operation.description} {scope}".strip()
    elif operation.description:
        shape["description"] = operation.description
    if operation.parameters:
        shape["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.body is not None:
        shape["requestBody"] = _body(operation.body)
    responses = {_key(operation, one): _response(operation, one) for one in operation.responses}
    errors = {str(status): _error(operation, status) for status in operation.errors}
    shape["responses"] = dict(sorted({**errors, **responses}.items()))
    return shape


def _key(operation: Operation, response: ResponseDoc) -> str:
    """A success of a lower status than the usual one, which is the first, is documented as 2XX:
    generators take the lowest status that is named for what the operation returns."""
    is_before_usual = 200 <= response.status < operation.responses[0].status < 300
    return "2XX" if is_before_usual else str(response.status)


def _parameter(parameter: Parameter) -> dict[str, object]:
    """Path parameters are the only required ones."""
    shape: dict[str, object] = {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.location == "path",
        "schema": parameter.schema,
        "description": f"{parameter.description} {parameter.addition}".rstrip(),
    }
    if parameter.example is not None:
        shape["example"] = parameter.example
    if parameter.deprecated:
        shape["deprecated"] = True
    return shape


def _body(body: RequestBody) -> dict[str, object]:
    return {"required": True, "content": {body.media_type: _content(body.schema, body.examples)}}


def _content(schema: str, examples: Iterable[tuple[str, object]]) -> dict[str, object]:
    shape: dict[str, object] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if named := {name: {"value": value} for name, value in examples}:
        shape["examples"] = named
    return shape


def _response(operation: Operation, response: ResponseDoc) -> dict[str, object]:
    """A response without a schema still lists its media types, so that clients accept them."""
    shape: dict[str, object] = {
        "description": response.description,
        "headers": _headers(operation, response.headers),
    }
    if response.schema is not None:
        others: dict[str, object] = {
            media_type: {} for media_type in response.media_types if media_type != JSON
        }
        shape["content"] = {JSON: _content(response.schema, response.examples), **others}
    elif response.media_types:
        shape["content"] = {media_type: {} for media_type in response.media_types}
    if response.links:
        shape["links"] = dict(response.links)
    return shape


def _error(operation: Operation, status: int) -> dict[str, object]:
    examples = _error_examples(operation, status)
    return {
        "description": dict(operation.error_notes).get(status, MEANINGS[status]),
        "headers": _headers(operation, ERROR_HEADERS.get(status, ())),
        "content": {JSON: _content(operation.error_schema, examples)},
    }


def _error_examples(operation: Operation, status: int) -> list[tuple[str, object]]:
    """Only v2's errors have examples: the others' shapes have one form."""
    if operation.error_schema != "Problem":
        return []
    if operation.name == "cancelQueryRun" and status == 400:
        return [("too_late", TOO_LATE)]
    if operation.body is not None and status == 400:
        return [("invalid", BAD_REQUEST)]
    bare = {"type": TYPES[status], "errors": [], "retryable": status in (409, 429, 502, 503, 504)}
    return [("bare", bare)]


def _headers(operation: Operation, names: Iterable[str]) -> dict[str, object]:
    rates = RATES if operation.scope is not None else ()
    more = CONCURRENCY if api_version_of(operation.path) is ApiVersion.V1 else ()
    every = (*names, *ALWAYS, *rates, *more)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in every}


def describe_headers(headers: Mapping[str, dict[str, object]]) -> dict[str, object]:
    """The document's headers: a description and a schema each."""
    return {
        name: {
            "description": schema["description"],
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in headers.items()
    }
