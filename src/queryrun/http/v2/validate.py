"""`POST /v2/validate` and `GET /v2/options`: what a caller can know before a run
(additions of ours)."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from queryrun.errors import InvalidRequest
from queryrun.http.bodies import body_limit_of, decode_body, read_json_body
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.v2.parameters import parameters_fault, parsed_parameters
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.validate import validate
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS


class Draft(msgspec.Struct, forbid_unknown_fields=True):
    """A statement that is being written."""

    sql: str
    source: str | None = None
    parameters: list[dict[str, str]] = []


async def validate_statement(app: AppContext, request: ApiRequest) -> Response:
    """What is wrong with a statement, with line and column; without a run and without a slot."""
    limit = app.settings.max_body_bytes
    content = await read_json_body(request, limit, body_limit_of(app.threads.bodies, request))
    draft = await _draft(app, request, content)
    values = parsed_parameters(draft.parameters)
    found = await validate(app.runs, app.tables, request.principal, draft.sql, draft.source, values)
    errors = [{"message": found.message, "line": found.line, "column": found.column}]
    return JsonResponse(
        {
            "valid": not found.message,
            "errors": errors if found.message else [],
            "columns": found.columns,
        }
    )


async def _draft(app: AppContext, request: ApiRequest, content: bytes) -> Draft:
    try:
        draft = await decode_body(content, Draft, body_limit_of(app.threads.bodies, request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = "the body must have sql, and may have source, both texts, and parameters"
        raise InvalidRequest.of("body", message) from error
    if len(draft.sql) > MAX_STATEMENT_CHARS:
        message = f"'sql' must have at most {MAX_STATEMENT_CHARS} characters"
        raise InvalidRequest.of("sql", message)
    if fault := parameters_fault(draft.parameters):
        raise InvalidRequest.of("parameters", f"'parameters' {fault}")
    return draft


async def get_options(app: AppContext, _request: ApiRequest) -> Response:
    """The sources and the formats that a run may name."""
    sources = [
        {
            "name": name,
            "is_default": name == app.runs.default_source,
            "dialect": policy.dialect,
            "problem": app.runs.unavailable_reason(name),
        }
        for name, policy in app.runs.sources.items()
    ]
    formats = [
        {
            "name": one.value,
            "needs_separator": one.spec.needs_separator,
            "is_text": one.spec.is_text,
        }
        for one in ContentType
    ]
    encodings = [one.value for one in ContentEncoding]
    return JsonResponse(
        {"sources": sources, "content_types": formats, "content_encodings": encodings}
    )
