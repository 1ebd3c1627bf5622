"""`/v2/statements`: saved statements (an addition of ours)."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.bodies import body_limit_of, decode_body, read_json_body
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.times import iso
from queryrun.runs import statements as s
from queryrun.texts import is_storable

MAX_BODY_BYTES = 1024 * 1024
"""Room for `MAX_SQL_CHARS` of any text, escaped."""


class StatementBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a person gives."""

    name: str
    sql: str
    folder: str = ""
    source: str | None = None
    shared: bool = False


async def list_statements(app: AppContext, request: ApiRequest) -> Response:
    """The caller's own and those shared in the entity, by folder and name."""
    found = await s.visible(app.statements, request.principal)
    return JsonResponse({"data": [_object(one) for one in found]})


async def save_statement(app: AppContext, request: ApiRequest) -> Response:
    """Keep a new statement."""
    content = await _content(app, request)
    saved = await s.save(app.statements, request.principal, content, app.now())
    return JsonResponse(_object(saved), 201, {"location": f"/v2/statements/{saved.id}"})


async def get_statement(app: AppContext, request: ApiRequest) -> Response:
    """One statement, its SQL whole."""
    return JsonResponse(_object(await s.find(app.statements, request.principal, _id(request))))


async def change_statement(app: AppContext, request: ApiRequest) -> Response:
    """Replace a statement's name, folder, SQL and whether it is shared."""
    content = await _content(app, request)
    changed = await s.change(app.statements, request.principal, _id(request), content, app.now())
    return JsonResponse(_object(changed))


async def remove_statement(app: AppContext, request: ApiRequest) -> Response:
    """Delete a statement."""
    await s.remove(app.statements, request.principal, _id(request))
    return Response(status_code=204)


def _id(request: ApiRequest) -> str:
    return str(request.path_params["statement_id"])


async def _content(app: AppContext, request: ApiRequest) -> s.StatementContent:
    raw = await read_json_body(request, MAX_BODY_BYTES, body_limit_of(app.threads.bodies, request))
    try:
        body = await decode_body(raw, StatementBody, body_limit_of(app.threads.bodies, request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = "the body must have name and sql, and may have folder, source and shared"
        raise InvalidRequest.of("body", message) from error
    problems = [*_problems(body), *_source_problems(app, body)]
    if problems:
        raise InvalidRequest(*problems)
    folder = "/".join(part.strip() for part in body.folder.split("/") if part.strip())
    return s.StatementContent(body.name.strip(), folder, body.sql, body.source, body.shared)


def _problems(body: StatementBody) -> list[Problem]:
    limits = (
        ("name", body.name, 1, s.MAX_NAME_CHARS),
        ("folder", body.folder, 0, s.MAX_FOLDER_CHARS),
        ("sql", body.sql, 1, s.MAX_SQL_CHARS),
    )
    return [
        Problem(
            "invalid_parameter",
            name,
            f"'{name}' must have {minimum} to {maximum} characters and no NUL",
        )
        for name, text, minimum, maximum in limits
        if (minimum and not _is_visible(text)) or len(text) > maximum or not is_storable(text)
    ]


def _is_visible(text: str) -> bool:
    """Whether it is more than blanks and control characters."""
    return any(one > " " for one in text)


def _source_problems(app: AppContext, body: StatementBody) -> list[Problem]:
    if body.source is None or body.source in app.runs.sources:
        return []
    message = f"'source' must be one of {', '.join(app.runs.sources)}"
    return [Problem("invalid_parameter", "source", message)]


def _object(statement: s.SavedStatement) -> dict[str, object]:
    content = statement.content
    return {
        "id": statement.id,
        "name": content.name,
        "folder": content.folder,
        "sql": content.sql,
        "source": content.source,
        "shared": content.shared,
        "created_by_id": statement.client_id,
        "created_time": iso(statement.created_time),
        "updated_time": iso(statement.updated_time),
    }
