"""`GET /v2/query_runs/{query_run_id}/rows`: the first rows of a result (an addition of ours)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.responses import Response

from queryrun.audit.model import AuditEvent
from queryrun.errors import InvalidRequest, NotFound, Problem, RunFailed, Unavailable
from queryrun.http.audit import record
from queryrun.http.context import AppContext
from queryrun.http.errors import FileGone
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.results.preview import PreviewRequest, is_simple, preview
from queryrun.results.preview_rows import (
    MAX_PREVIEW_ROWS,
    MAX_READ_BYTES,
    CorruptFileError,
    NoPreviewError,
    Preview,
    RowWindow,
)
from queryrun.runs.model import Output, ResultFile, Run
from queryrun.runs.read import read_one

DEFAULT_ROWS = 100
MAX_OFFSET = 10**9
PREVIEW_TIMEOUT_S = 10.0
"""How long a preview waits for its turn."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows."""

    offset: int
    limit: int


async def get_rows(app: AppContext, request: ApiRequest) -> Response:
    """Columns and rows as JSON. 404 for runs without readable rows: not complete, or
    encrypted."""
    problems: list[Problem] = []
    window = Window(
        _whole(request, "offset", 0, MAX_OFFSET, problems),
        _whole(request, "limit", DEFAULT_ROWS, MAX_PREVIEW_ROWS, problems),
    )
    if problems:
        raise InvalidRequest(*problems)
    run = await read_one(app.runs, request.principal, request.path_params["query_run_id"])
    file = _file(run)
    requested = _preview_request(run.request.output, window)
    event, offset, limit = AuditEvent.RESULT_READ, window.offset, window.limit
    await record(app, request, event, run.id, way="rows", offset=offset, limit=limit)
    found = await _preview(app, file, requested, request.principal.entity_id)
    return JsonResponse(_body(found, window, file))


def _whole(
    request: ApiRequest, name: str, default: int, maximum: int, problems: list[Problem]
) -> int:
    """An integer parameter of the query, or its default."""
    text = request.query_value(name) or ""
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= maximum):
        message = f"'{name}' must be a whole number from 0 to {maximum}"
        problems.append(Problem("invalid_parameter", name, message))
        return default
    return int(text)


def _file(run: Run) -> ResultFile:
    """The file of a run that has a preview; `NotFound` otherwise."""
    if run.file is None:
        raise NotFound("rows", f"Query run {run.id} is not complete and has no rows")
    if run.request.output.encryption_key is not None:
        raise NotFound("rows", "an encrypted result has no preview")
    return run.file


async def _preview(
    app: AppContext, file: ResultFile, request: PreviewRequest, entity_id: str
) -> Preview:
    """Text formats are read in a thread; a binary file may crash its reader, so a process does."""
    read = partial(app.results.read, file.key)
    try:
        if is_simple(request.content_type, request.content_encoding):
            end = min(file.size_bytes, MAX_READ_BYTES)
            async with app.threads.preview_turns.slot(entity_id, PREVIEW_TIMEOUT_S):
                return await app.threads.previews.run(lambda: preview(read(0, end), request))
        return await app.previews.preview(read, file.size_bytes, request, entity_id)
    except CorruptFileError as error:
        raise NotFound("rows", str(error)) from error
    except NoPreviewError as error:
        raise InvalidRequest.of("offset", str(error)) from error
    except FileNotFoundError as error:
        raise FileGone("file", "the file is past its retention") from error
    except RunFailed as error:
        raise Unavailable("the store of result files cannot be reached") from error


def _preview_request(output: Output, window: Window) -> PreviewRequest:
    separator = output.content_type.spec.separator_for(output.column_separator)
    rows = RowWindow(window.offset, window.limit, separator)
    return PreviewRequest(output.content_type, output.content_encoding, rows)


def _body(found: Preview, window: Window, file: ResultFile) -> dict[str, object]:
    """`more` is known without reading on: the file's record has the number of rows."""
    return {
        "columns": found.columns,
        "rows": found.rows,
        "offset": window.offset,
        "number_of_rows": file.rows,
        "more": window.offset + len(found.rows) < file.rows,
    }
