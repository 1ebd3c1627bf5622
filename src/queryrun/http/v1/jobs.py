"""Create, read, list and cancel data query jobs: parse, call one function, render."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

import msgspec

from queryrun.errors import (
    Forbidden,
    InvalidRequest,
    NotCancellable,
    NotFound,
    Problem,
)
from queryrun.http import headers, idempotency
from queryrun.http.bodies import read_json_body
from queryrun.http.context import AppContext
from queryrun.http.links import links_of
from queryrun.http.properties import decode_object, key_warning
from queryrun.http.request import ApiRequest, Response
from queryrun.http.v1.body import JobBody, parse_job_body
from queryrun.http.v1.render import INDEX_JOIN, WORDS, job_body, job_object
from queryrun.http.waits import cancel_wait_s, waited
from queryrun.runs.cancel import cancel
from queryrun.runs.context import RequestContext
from queryrun.runs.model import IdempotencyKey, Run, RunRequest
from queryrun.runs.read import is_run_id, read_many, read_one
from queryrun.runs.state import RunState
from queryrun.runs.store import RunQuery
from queryrun.runs.submit import submit

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1000
"""`pageSize` of the list (contract A7)."""

PADDING = "0" * 28
"""What makes a 36-character id as long as one SDK's DELETE demands (contract A9)."""

NOT_JSON = "Unable to process JSON"
"""The message for a body that is not a JSON object (contract D2)."""


async def create_job(app: AppContext, request: ApiRequest) -> Response:
    """`POST /query/jobs` (contract A6): 200, and once per idempotency key, refusals included."""
    problems: list[Problem] = []
    key_text = headers.idempotency_key(request, problems)
    raw = await read_json_body(request, app.settings.body_bytes)
    content = decode_object(raw, [])
    key = idempotency.key_of(request, key_text, raw if content is None else content)
    return await idempotency.idempotent(
        app, request, key, lambda: _create(app, request, content, key, problems)
    )


async def _create(
    app: AppContext,
    request: ApiRequest,
    content: dict[str, object] | None,
    key: IdempotencyKey | None,
    problems: list[Problem],
) -> Response:
    if content is None:
        raise InvalidRequest.of("body", NOT_JSON)
    org_ids = headers.org_ids(request, request.who.org_ids, problems)
    body = parse_job_body(content, problems)
    if problems or body is None:
        raise InvalidRequest(*problems)
    run_request = _request(app.runs, request, body, org_ids)
    links = links_of(app)
    write = idempotency.write_with(key, 200, lambda run: job_body(run, links))
    request.run_id = str(uuid4())
    accepted = await submit(app.runs, run_request, idempotent=write, run_id=request.run_id)
    if accepted.replay is not None:
        return idempotency.replayed(accepted.replay)
    response = await _shown_after(app, request, accepted.run)
    response.headers += key_warning(run_request.output)
    return response


def _request(
    context: RequestContext, request: ApiRequest, body: JobBody, org_ids: tuple[str, ...]
) -> RunRequest:
    who = request.who
    return RunRequest(
        tenant_id=who.tenant_id,
        entity_id=who.entity_id,
        client_id=who.client_id,
        source=_source(context, body.source_data),
        sql=body.query,
        output=body.output,
        deleted_rows=body.deleted_rows,
        org_ids=org_ids,
        extras=(INDEX_JOIN,) if body.use_index_join else (),
    )


def _source(context: RequestContext, source_data: str) -> str:
    """The source that a word of v1 means (contract H20): `live`, or the default where there is
    none of that name; `warehouse`, or a 400."""
    if source_data == "LIVE":
        return "live" if "live" in context.sources else context.default_source
    if "warehouse" in context.sources:
        return "warehouse"
    raise InvalidRequest.of("sourceData", f"'sourceData' {source_data} is not available here")


async def get_job(app: AppContext, request: ApiRequest) -> Response:
    """`GET /query/jobs/{job_id}` (contract A8)."""
    run = await _visible(app.runs, request, request.path_parameters["job_id"])
    return await _shown_after(app, request, run)


async def cancel_job(app: AppContext, request: ApiRequest) -> Response:
    """`DELETE /query/jobs/{job_id}` (contract A9). Waits like v2's cancel, and as provably."""
    run = await _visible(app.runs, request, _without_padding(request.path_parameters["job_id"]))
    preference = headers.preference(request)
    try:
        run = await cancel(app.runs, request.who, run.id, wait_s=cancel_wait_s(request, preference))
    except NotCancellable as error:
        message = f"Job {run.id} is not in accepted or in_progress status"
        raise InvalidRequest(Problem(error.problem.code, "job_id", message)) from error
    return Response(200, job_body(run, links_of(app)), headers=preference.applied)


async def list_jobs(app: AppContext, request: ApiRequest) -> Response:
    """`GET /query/jobs` (contract A7): newest first; one page, there is no cursor."""
    problems: list[Problem] = []
    states = _states(request.values("queryStatus"), problems)
    size = _page_size(request.values("pageSize"), problems)
    if problems:
        raise InvalidRequest(*problems)
    query = RunQuery(request.who.tenant_id, states=states or frozenset(), limit=size)
    runs = () if states == frozenset() else (await read_many(app.runs, request.who, query)).runs
    links = links_of(app)
    return Response(200, msgspec.json.encode({"data": [job_object(run, links) for run in runs]}))


async def _shown_after(app: AppContext, request: ApiRequest, run: Run) -> Response:
    """The job, after the wait that `Prefer` asked for."""
    preference = headers.preference(request)
    run = await waited(app, request, run, preference)
    return Response(200, job_body(run, links_of(app)), headers=preference.applied)


# --- ids ------------------------------------------------------------------------------------


def _without_padding(text: str) -> str:
    """A job's id from the 64 characters that one SDK insists on; anything else as it is."""
    return text[:36] if len(text) == 64 and text.endswith(PADDING) else text


async def _visible(context: RequestContext, request: ApiRequest, job_id: str) -> Run:
    """The run, if the caller may see it. On this face somebody else's is a 403 (contract A8), as
    long as it is the same tenant's: beyond that nothing exists."""
    request.run_id = job_id
    try:
        return await read_one(context, request.who, job_id)
    except NotFound:
        run = await context.store.get(job_id) if is_run_id(job_id) else None
    if run is not None and run.request.tenant_id == request.who.tenant_id:
        raise Forbidden(f"Job {job_id} belongs to somebody else")
    raise NotFound("job_id", f"Job {job_id[:64]} could not be found")


# --- list parameters ------------------------------------------------------------------------


def _spellings() -> dict[str, frozenset[RunState]]:
    """Every word for a state, of both faces, and the states it means (contract B2)."""
    meanings: dict[str, set[RunState]] = {"submitted": set(), "pending": set()}
    for state in RunState:
        for word in (state.shown.value, WORDS.get(state, state.shown.value)):
            meanings.setdefault(word, set()).add(state)
    return {word: frozenset(states) for word, states in meanings.items()}


SPELLINGS = _spellings()
STATUS_WORDS = ("submitted", "accepted", "in_progress", "completed", "failed", "cancelled")


def _states(values: Iterable[str], problems: list[Problem]) -> frozenset[RunState] | None:
    """The states to list; None for all of them."""
    words = list(values)
    if not words:
        return None
    if not all(word in SPELLINGS for word in words):
        message = f"'queryStatus' must be one of {', '.join(STATUS_WORDS)}"
        problems.append(Problem("invalid_parameter", "queryStatus", message))
        return None
    return frozenset[RunState]().union(*(SPELLINGS[word] for word in words))


def _page_size(values: list[str], problems: list[Problem]) -> int:
    if not values:
        return DEFAULT_PAGE_SIZE
    text = values[-1]
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= number <= MAX_PAGE_SIZE:
        message = f"'pageSize' must be a whole number from 1 to {MAX_PAGE_SIZE}"
        problems.append(Problem("invalid_parameter", "pageSize", message))
    return number
