"""`async: true` (contract C8): answer 202 with a request id, keep the outcome for
`GET /v2/requests/{request_id}`.

What was asked for is durable in the store before the 202 leaves. A create's outcome is known by
then. A cancel's is known once the run has ended; it is settled by whoever reads the request
after that, so no task has to survive a restart.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import uuid4

import msgspec

from queryrun.auth.model import Principal
from queryrun.errors import InvalidRequest, NotCancellable, NotFound
from queryrun.http import idempotency
from queryrun.http.context import AppContext
from queryrun.http.links import links_of
from queryrun.http.problems import response_for
from queryrun.http.request import ApiRequest, Response
from queryrun.http.stored_response import decode_response, encode_response
from queryrun.http.times import iso
from queryrun.http.v2.render import Shown, render_run
from queryrun.http.v2.view import DEFAULT_VIEW
from queryrun.runs.cancel import cancel
from queryrun.runs.model import IdempotencyKey, Run, RunRequest
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState
from queryrun.runs.submit import submit


class Operation(StrEnum):
    """What an asynchronous request asked for; the store keeps the word without reading it."""

    CREATE = "create"
    CANCEL = "cancel"

    def path(self, run_id: str) -> str:
        """The path that it was sent to."""
        created_at = "/v2/query_runs"
        return created_at if self is Operation.CREATE else f"{created_at}/{run_id}/cancel"


async def create_later(
    app: AppContext, request: ApiRequest, run_request: RunRequest, key: IdempotencyKey | None
) -> Response:
    """Accept the run, record the outcome, answer with ids alone. The run's id is in `Location`
    even when the statement was refused: which of the two is the outcome (contract H4)."""
    run_id = str(uuid4())
    creation = _new_request(request, Operation.CREATE, run_id)
    response = _only_ids(request, f"/v2/query_runs/{run_id}")
    write = idempotency.write_with(key, response.status, lambda _: response.body)
    try:
        accepted = await submit(app.runs, run_request, idempotent=write, run_id=run_id)
    except InvalidRequest as error:
        await _record(app, creation, _failed(response_for(error, request.api_version)))
        await idempotency.store_response(app, key, response)
        return response
    if accepted.replay is not None:
        return idempotency.replayed(accepted.replay)
    request.run_id = run_id
    await _record(app, creation, _succeeded(app, accepted.run, 201))
    return response


async def cancel_later(
    app: AppContext, request: ApiRequest, run_id: str, key: IdempotencyKey | None
) -> Response:
    """Record the cancel and answer with the request's id; an unknown or ended run is an outcome."""
    cancellation = _new_request(request, Operation.CANCEL, run_id)
    response = _only_ids(request, f"/v2/requests/{request.request_id}")
    write = idempotency.write_with(key, response.status, lambda _: response.body)
    try:
        run = await cancel(app.runs, request.who, run_id, wait_s=0.0, idempotent=write)
    except (NotFound, NotCancellable) as error:
        await _record(app, cancellation, _failed(response_for(error, request.api_version)))
        await idempotency.store_response(app, key, response)
        return response
    await _record(app, cancellation, _cancel_outcome(app, run))
    await idempotency.complete(app, key, response)
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


def _new_request(request: ApiRequest, operation: Operation, run_id: str) -> NewRequest:
    who = request.who
    return NewRequest(request.request_id, who.tenant_id, who.client_id, operation, run_id)


async def _record(app: AppContext, new: NewRequest, outcome: RequestOutcome | None) -> None:
    await app.requests.begin_request(new)
    if outcome is not None:
        await app.requests.finish_request(new.id, outcome)


async def _settled(app: AppContext, found: AsyncRequest) -> AsyncRequest:
    """The request with its outcome. A cancel's outcome is known once its run is terminal."""
    if found.outcome is not None or found.request.operation != Operation.CANCEL:
        return found
    run = await app.runs.store.get(found.request.run_id)
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
    return RequestOutcome(RequestState.SUCCEEDED, encode_response(status, body))


def _failed(response: Response) -> RequestOutcome:
    return RequestOutcome(RequestState.FAILED, encode_response(response.status, response.body))


def _may_see(who: Principal, run_request: NewRequest) -> bool:
    mine = run_request.client_id == who.client_id
    return run_request.tenant_id == who.tenant_id and (mine or who.is_admin)


def _shown(found: AsyncRequest) -> dict[str, object]:
    shape: dict[str, object] = {
        "request_id": found.request.id,
        "state": found.state.value,
        "method": "POST",
        "path": Operation(found.request.operation).path(found.request.run_id),
        "created_time": iso(found.created_time),
    }
    if found.completed_time is not None:
        shape["completed_time"] = iso(found.completed_time)
    if found.outcome is not None:
        response = decode_response(found.outcome.response)
        shape["status"] = response.status
        shape["body"] = msgspec.Raw(response.body)
        if found.outcome.state is RequestState.SUCCEEDED:
            shape["data"] = {"id": found.request.run_id}
    return shape
