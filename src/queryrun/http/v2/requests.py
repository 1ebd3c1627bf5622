"""`async: true` (contract C8): answer 202 with a request id, keep the outcome for
`GET /v2/requests/{request_id}`.

What was asked for is durable in the store before the 202 leaves. A create's outcome is known by
then. A cancel's is known once the run has ended; it is settled by whoever reads the request
after that, so no task has to survive a restart.
"""

from __future__ import annotations

import re
from uuid import uuid4

import msgspec

from queryrun.auth.model import Principal
from queryrun.errors import InvalidRequest, NotCancellable, NotFound
from queryrun.http import once
from queryrun.http.context import AppContext
from queryrun.http.links import links_of
from queryrun.http.problems import response_for
from queryrun.http.request import ApiRequest, Response
from queryrun.http.times import iso
from queryrun.http.v2.render import Shown, render_run
from queryrun.http.v2.view import DEFAULT_VIEW
from queryrun.runs.cancel import cancel
from queryrun.runs.model import Run, RunRequest, StoredAnswer
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState
from queryrun.runs.submit import submit

CANCEL_PATH = re.compile(r"/v2/query_runs/([^/]+)/cancel")


async def create_later(
    app: AppContext, request: ApiRequest, run_request: RunRequest, key: once.Key | None
) -> Response:
    """Accept the run, record the outcome, answer with ids alone. The run's id is in `Location`
    even when the statement was refused: which of the two is the outcome (contract H4)."""
    run_id = str(uuid4())
    response = _only_ids(request, f"/v2/query_runs/{run_id}")
    stored = once.stored_with(key, lambda _: StoredAnswer(response.status, response.body))
    try:
        accepted = await submit(app.runs, run_request, idempotent=stored, run_id=run_id)
    except InvalidRequest as error:
        await _record(app, request, _failed(response_for(error, request.api_version)))
        await once.keep(app, key, response)
        return response
    if accepted.replay is not None:
        return once.replayed(accepted.replay)
    request.run_id = run_id
    await _record(app, request, _succeeded(app, accepted.run, 201))
    return response


async def cancel_later(
    app: AppContext, request: ApiRequest, run_id: str, key: once.Key | None
) -> Response:
    """Record the cancel and answer with the request's id; an unknown or ended run is an outcome."""
    response = _only_ids(request, f"/v2/requests/{request.request_id}")
    stored = once.stored_with(key, lambda _: StoredAnswer(response.status, response.body))
    try:
        run = await cancel(app.runs, request.who, run_id, wait_s=0.0, idempotent=stored)
    except (NotFound, NotCancellable) as error:
        await _record(app, request, _failed(response_for(error, request.api_version)))
        await once.keep(app, key, response)
        return response
    await _record(app, request, _cancel_outcome(app, run))
    await once.finish(app, key, response)
    return response


async def get_request(app: AppContext, request: ApiRequest) -> Response:
    """`GET /v2/requests/{request_id}`: how an asynchronous request went."""
    request_id = request.path_parameters["request_id"]
    found = await app.requests.get_request(request_id)
    if found is None or not _may_see(request.who, found.request):
        raise NotFound("request_id", f"Request {request_id[:64]!r} could not be found")
    settled = await _settled(app, found)
    return Response(200, msgspec.json.encode(_shown(settled)))


def _only_ids(request: ApiRequest, location: str) -> Response:
    body = msgspec.json.encode({"request_id": request.request_id})
    return Response(202, body, headers=[("location", location)])


async def _record(app: AppContext, request: ApiRequest, outcome: RequestOutcome | None) -> None:
    who = request.who
    run_request = NewRequest(
        request.request_id, who.tenant_id, who.client_id, request.method, request.path
    )
    await app.requests.begin_request(run_request)
    if outcome is not None:
        await app.requests.finish_request(run_request.id, outcome)


async def _settled(app: AppContext, found: AsyncRequest) -> AsyncRequest:
    """The request with its outcome, if its run has ended since."""
    target = CANCEL_PATH.fullmatch(found.request.path)
    if found.outcome is not None or target is None:
        return found
    run = await app.runs.store.get(target[1])
    outcome = None if run is None else _cancel_outcome(app, run)
    if outcome is None:
        return found
    await app.requests.finish_request(found.request.id, outcome)
    return await app.requests.get_request(found.request.id) or found


def _cancel_outcome(app: AppContext, run: Run) -> RequestOutcome | None:
    """A cancel that was accepted succeeds when its run is `canceled`; nothing else can happen."""
    return _succeeded(app, run, 200) if run.state.is_terminal else None


def _succeeded(app: AppContext, run: Run, status: int) -> RequestOutcome:
    body = render_run(Shown(run, links_of(app)), DEFAULT_VIEW)
    return RequestOutcome(RequestState.SUCCEEDED, StoredAnswer(status, body), run.id)


def _failed(response: Response) -> RequestOutcome:
    return RequestOutcome(RequestState.FAILED, StoredAnswer(response.status, response.body))


def _may_see(who: Principal, run_request: NewRequest) -> bool:
    mine = run_request.client_id == who.client_id
    return run_request.tenant_id == who.tenant_id and (mine or who.is_admin)


def _shown(found: AsyncRequest) -> dict[str, object]:
    shape: dict[str, object] = {
        "request_id": found.request.id,
        "state": found.state.value,
        "method": found.request.method,
        "path": found.request.path,
        "created_time": iso(found.created_time),
    }
    if found.completed_time is not None:
        shape["completed_time"] = iso(found.completed_time)
    if found.outcome is not None:
        shape["status"] = found.outcome.answer.status
        shape["body"] = msgspec.Raw(found.outcome.answer.body)
        if found.outcome.run_id is not None:
            shape["data"] = {"id": found.outcome.run_id}
    return shape
