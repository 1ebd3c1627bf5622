"""Create, read, list and cancel data query jobs: parse, call one function, render."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from queryrun.errors import (
    Forbidden,
    InvalidRequest,
    NotCancellable,
    NotFound,
    Problem,
)
from queryrun.http import headers, idempotency
from queryrun.http.bodies import body_limit_of, decode_object, read_json_body
from queryrun.http.context import AppContext
from queryrun.http.failure_headers import failure_headers
from queryrun.http.ids import new_id
from queryrun.http.links import links_of
from queryrun.http.prefer import cancel_wait_s, preference_of, wait_for_end
from queryrun.http.properties import key_warning
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.trace import traceparent_of_run
from queryrun.http.unread import permitted
from queryrun.http.v1.body import BY_NAME, JobBody, parse_job_body
from queryrun.http.v1.render import INDEX_JOIN, STATUS_SPELLINGS, job_body, job_object
from queryrun.runs.cancel import cancel
from queryrun.runs.context import RequestContext
from queryrun.runs.model import Run, RunRequest
from queryrun.runs.read import is_run_id, read_many, read_one
from queryrun.runs.state import RunState
from queryrun.runs.store import RunQuery
from queryrun.runs.submit import submit

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1000
"""`pageSize` of the list (contract A7)."""

PADDING = "0" * 28
"""Pads a 36-character id to the length that one SDK's DELETE requires (contract A9)."""

NOT_JSON = "Unable to process JSON"
"""The message for a body that is not a JSON object (contract D2)."""


async def create_job(app: AppContext, request: ApiRequest) -> Response:
    """`POST /query/jobs` (contract A6): 200, and once per idempotency key, refusals included."""
    problems: list[Problem] = []
    raw = await read_json_body(
        request, app.settings.max_body_bytes, body_limit_of(app.threads.bodies, request)
    )
    faults: list[Problem] = []
    content = await decode_object(raw, BY_NAME, faults, body_limit_of(app.threads.bodies, request))
    if replay := await idempotency.begin(
        app, request, problems, raw if content is None else content
    ):
        return replay
    if content is None:
        raise _no_object(faults)
    org_ids = headers.org_ids(request, request.principal.org_ids, problems)
    body = parse_job_body(content, problems)
    if problems or body is None:
        raise InvalidRequest(*problems)
    run_request = _run_request(app, request, body, org_ids)
    write = idempotency.write_for(request, 200, lambda run: job_body(run, links_of(app)))
    request.run_id = new_id()
    accepted = await submit(
        app.runs, run_request, idempotent=write, run_id=request.run_id, origin=request.origin
    )
    if accepted.replay is not None:
        return idempotency.replayed(accepted.replay)
    preference = preference_of(request)
    run = await wait_for_end(app, request, accepted.run, preference)
    run = permitted(request.principal, run)
    extra_headers = preference.headers | key_warning(run_request.output) | failure_headers(run)
    return JsonResponse(job_body(run, links_of(app)), headers=extra_headers)


def _no_object(faults: list[Problem]) -> InvalidRequest:
    """One message for every body that is no JSON object (contract D2)."""
    is_object = any(fault.parameter != "body" for fault in faults)
    return InvalidRequest(*faults) if is_object else InvalidRequest.of("body", NOT_JSON)


async def get_job(app: AppContext, request: ApiRequest) -> Response:
    """`GET /query/jobs/{job_id}` (contract A8)."""
    run = await _read_job(app.runs, request, request.path_params["job_id"])
    preference = preference_of(request)
    run = await wait_for_end(app, request, run, preference)
    extra_headers = preference.headers | failure_headers(run)
    return JsonResponse(job_body(run, links_of(app)), headers=extra_headers)


async def cancel_job(app: AppContext, request: ApiRequest) -> Response:
    """`DELETE /query/jobs/{job_id}` (contract A9). Waits for the confirmed stop, as v2 does."""
    run = await _read_job(app.runs, request, _without_padding(request.path_params["job_id"]))
    preference = preference_of(request)
    wait_s = cancel_wait_s(request, preference)
    try:
        run = await cancel(
            app.runs, request.principal, run.id, wait_s=wait_s, origin=request.origin
        )
    except NotCancellable as error:
        message = f"Job {run.id} is not in accepted or in_progress status"
        raise InvalidRequest(Problem(error.problem.code, "job_id", message)) from error
    run = permitted(request.principal, run)
    return JsonResponse(job_body(run, links_of(app)), headers=preference.headers)


async def list_jobs(app: AppContext, request: ApiRequest) -> Response:
    """`GET /query/jobs` (contract A7): newest first; one page, there is no cursor."""
    problems: list[Problem] = []
    states = _states(request.query_values("queryStatus"), problems)
    size = _page_size(request.query_values("pageSize"), problems)
    if problems:
        raise InvalidRequest(*problems)
    principal = request.principal
    query = RunQuery(principal.tenant_id, states=states or frozenset(), limit=size)
    runs = () if states == frozenset() else (await read_many(app.runs, principal, query)).runs
    links = links_of(app)
    return JsonResponse({"data": [job_object(run, links) for run in runs]})


# --- the request ----------------------------------------------------------------------------


def _run_request(
    app: AppContext, request: ApiRequest, body: JobBody, org_ids: tuple[str, ...]
) -> RunRequest:
    """The body and who sent it, in the core's terms."""
    principal = request.principal
    return RunRequest(
        tenant_id=principal.tenant_id,
        entity_id=principal.entity_id,
        client_id=principal.client_id,
        source=_source(app.runs, body.source_data),
        sql=body.query,
        output=body.output,
        deleted_rows=body.deleted_rows,
        org_ids=org_ids,
        extras=(INDEX_JOIN,) if body.use_index_join else (),
        traceparent=traceparent_of_run(app.tracer, request),
    )


def _source(context: RequestContext, source_data: str) -> str:
    """The source that a value of `sourceData` means (contract H20): `live`, or the default where
    there is none of that name; `warehouse`, or a 400."""
    if source_data == "LIVE":
        return "live" if "live" in context.sources else context.default_source
    if "warehouse" in context.sources:
        return "warehouse"
    raise InvalidRequest.of("sourceData", f"'sourceData' {source_data} is not available here")


# --- ids ------------------------------------------------------------------------------------


def _without_padding(text: str) -> str:
    """A job's id from the 64 characters that one SDK requires; anything else unchanged."""
    return text[:36] if len(text) == 64 and text.endswith(PADDING) else text


async def _read_job(context: RequestContext, request: ApiRequest, job_id: str) -> Run:
    """The run, if the caller may see it. On v1 another client's run is a 403 (contract A8), as long
    as it is the same tenant's; another tenant's does not exist."""
    request.run_id = job_id
    try:
        return await read_one(context, request.principal, job_id)
    except NotFound:
        run = await context.store.get(job_id.lower()) if is_run_id(job_id) else None
    if run is not None and run.request.tenant_id == request.principal.tenant_id:
        raise Forbidden(f"Job {job_id} belongs to somebody else")
    raise NotFound("job_id", f"Job {job_id[:64]} could not be found")


# --- list parameters ------------------------------------------------------------------------


def _spellings() -> dict[str, frozenset[RunState]]:
    """Every spelling of a state, of both API versions, and the states it means (contract B2)."""
    meanings: dict[str, set[RunState]] = {"submitted": set(), "pending": set()}
    for state in RunState:
        for spelling in (state.public.value, STATUS_SPELLINGS.get(state, state.public.value)):
            meanings.setdefault(spelling, set()).add(state)
    return {spelling: frozenset(states) for spelling, states in meanings.items()}


SPELLINGS = _spellings()
STATUS_NAMES = ("submitted", "accepted", "in_progress", "completed", "failed", "cancelled")


def _states(values: Iterable[str], problems: list[Problem]) -> frozenset[RunState] | None:
    """The states to list; None for all of them."""
    spellings = list(values)
    if not spellings:
        return None
    if not all(one in SPELLINGS for one in spellings):
        message = f"'queryStatus' must be one of {', '.join(STATUS_NAMES)}"
        problems.append(Problem("invalid_parameter", "queryStatus", message))
        return None
    return frozenset[RunState]().union(*(SPELLINGS[one] for one in spellings))


def _page_size(values: list[str], problems: list[Problem]) -> int:
    """Strict, because a size that was ignored would silently truncate the only page."""
    if not values:
        return DEFAULT_PAGE_SIZE
    text = values[-1]
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= number <= MAX_PAGE_SIZE:
        message = f"'pageSize' must be a whole number from 1 to {MAX_PAGE_SIZE}"
        problems.append(Problem("invalid_parameter", "pageSize", message))
    return number
