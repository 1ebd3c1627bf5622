"""`GET /v2/query_runs/{query_run_id}/rows`: the first rows of a result (an addition of ours)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import msgspec

from queryrun.errors import InvalidRequest, NotFound, Problem, RunFailed, Unavailable
from queryrun.http.context import AppContext
from queryrun.http.refusals import FileGone
from queryrun.http.request import ApiRequest, Response
from queryrun.results.preview import PreviewRequest, is_simple, preview
from queryrun.results.preview_rows import (
    MAX_PREVIEW_ROWS,
    MAX_READ_BYTES,
    CorruptFileError,
    NoPreviewError,
    Preview,
    RowWindow,
)
from queryrun.results.store import ResultStore
from queryrun.runs.model import Output, ResultFile, Run
from queryrun.runs.read import read_one
from queryrun.services.preview.client import peek

DEFAULT_ROWS = 100
MOST_OFFSET = 10**9

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows."""

    offset: int
    limit: int


async def get_rows(app: AppContext, request: ApiRequest) -> Response:
    """Columns and rows as JSON. 404 for runs that have no rows to show: not complete, or
    encrypted."""
    problems: list[Problem] = []
    window = Window(
        _whole(request, "offset", 0, MOST_OFFSET, problems),
        _whole(request, "limit", DEFAULT_ROWS, MAX_PREVIEW_ROWS, problems),
    )
    if problems:
        raise InvalidRequest(*problems)
    request.run_id = request.path_parameters["query_run_id"]
    run = await read_one(app.runs, request.who, request.run_id)
    file = _file(run)
    found = await asyncio.to_thread(_read, app.results, file, run.request.output, window)
    return Response(200, _encode(_body(found, window, file)))


def _whole(request: ApiRequest, name: str, default: int, most: int, problems: list[Problem]) -> int:
    """A whole number of the query, or its default."""
    text = (request.values(name) or [""])[-1].strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= most):
        message = f"'{name}' must be a whole number from 0 to {most}"
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


def _read(store: ResultStore, file: ResultFile, output: Output, window: Window) -> Preview:
    """The rows, read in a thread: at most `MAX_READ_BYTES` of the file, one piece at a time.

    Binary formats are looked into by a process of their own, which a broken file may crash.
    """
    request = _preview_request(output, window)
    read = partial(store.read, file.key)
    try:
        if is_simple(request.content_type, request.content_encoding):
            return preview(read(0, min(file.size_bytes, MAX_READ_BYTES)), request)
        return peek(read, file.size_bytes, request)
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
    return {
        "columns": found.columns,
        "rows": found.rows,
        "offset": window.offset,
        "number_of_rows": file.rows,
        "more": window.offset + len(found.rows) < file.rows,
    }
