"""`async: true` (contract C8): respond with 202 and a request id, store the outcome for
`GET /v2/requests/{request_id}`.

The request is durable in the store before the 202 is sent. A create's outcome is known by then. A
cancel's is known once the run is terminal: the first read of the request after that stores it, or
`finish_requests`, which nodes call from time to time. What callouts are told is stored with it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from starlette.responses import Response

from queryrun.auth.model import Principal
from queryrun.errors import InvalidRequest, NotCancellable, NotFound
from queryrun.http import idempotency
from queryrun.http.context import AppContext
from queryrun.http.ids import new_id
from queryrun.http.links import links_of
from queryrun.http.problems import response_for
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.stored_response import decode_response, encode_response
from queryrun.http.times import iso
from queryrun.http.v2.render import RunDetails, encode_run
from queryrun.http.v2.view import default_view
from queryrun.runs.cancel import cancel
from queryrun.runs.model import Run, RunRequest
from queryrun.runs.read import can_view
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState
from queryrun.runs.submit import submit

FINISHED_AT_ONCE = 100


class AsyncOperation(StrEnum):
    """What an asynchronous request does. The value is opaque to the store."""

    CREATE = "create"
    CANCEL = "cancel"

    def path(self, run_id: str) -> str:
        """The path that it was sent to."""
        collection = "/v2/query_runs"
        return collection if self is AsyncOperation.CREATE else f"{collection}/{run_id}/cancel"


async def create_async(app: AppContext, request: ApiRequest, run_request: RunRequest) -> Response:
    """Accept the run, record the outcome, respond with the request's id alone. The run's id is in
    `Location` even when the statement was refused: which of the two is the request's outcome
    (contract H4)."""
    run_id = new_id()
    new = _new_request(request, AsyncOperation.CREATE, run_id)
    response = _accepted(request, f"/v2/query_runs/{run_id}")
    write = idempotency.write_for(request, 202, lambda _: bytes(response.body))
    try:
        accepted = await submit(
            app.runs, run_request, idempotent=write, run_id=run_id, origin=request.origin
        )
    except InvalidRequest as error:
        await _record(app, new, _failed(request, error))
        await idempotency.store_response(app, request, response)
        return response
    if accepted.replay is not None:
        return idempotency.replayed(accepted.replay)
    request.run_id = run_id
    await _record(app, new, _succeeded(app, accepted.run, 201))
    return response


async def cancel_async(app: AppContext, request: ApiRequest, run_id: str) -> Response:
    """Record the cancel and respond with the request's id. That the run is unknown or terminal is
    an outcome, not an error of this request."""
    new = _new_request(request, AsyncOperation.CANCEL, run_id)
    response = _accepted(request, f"/v2/requests/{request.request_id}")
    write = idempotency.write_for(request, 202, lambda _: bytes(response.body))
    try:
        run = await cancel(
            app.runs, request.principal, run_id, wait_s=0.0, idempotent=write, origin=request.origin
        )
    except (NotFound, NotCancellable) as error:
        await _record(app, new, _failed(request, error))
        await idempotency.store_response(app, request, response)
        return response
    await _record(app, new, _cancel_outcome(app, run))
    await idempotency.complete(app, request, response)
    return response


async def get_request(app: AppContext, request: ApiRequest) -> Response:
    """`GET /v2/requests/{request_id}`: the outcome of an asynchronous request."""
    request_id = request.path_params["request_id"]
    found = await app.requests.get_request(request_id)
    if found is None or not await _can_view(app, request.principal, found):
        raise NotFound("request_id", f"Request {request_id[:64]!r} could not be found")
    return JsonResponse(_request_object(await _with_outcome(app, found)))


def _accepted(request: ApiRequest, location: str) -> JsonResponse:
    return JsonResponse({"request_id": request.request_id}, 202, {"location": location})


def _new_request(request: ApiRequest, operation: AsyncOperation, run_id: str) -> NewRequest:
    principal = request.principal
    return NewRequest(
        request.request_id,
        principal.tenant_id,
        principal.entity_id,
        principal.client_id,
        operation,
        run_id,
        request.track_id or "",
    )


async def finish_requests(app: AppContext) -> None:
    """Store the outcome of requests whose run has become terminal, and that nobody has read."""
    for found in await app.requests.finishable_requests(limit=FINISHED_AT_ONCE):
        run = await app.runs.store.get(found.request.run_id)
        if run is not None and run.state.is_terminal:
            is_create = found.request.operation == AsyncOperation.CREATE
            await _finish(app, found, _succeeded(app, run, 201 if is_create else 200))


async def _record(app: AppContext, new: NewRequest, outcome: RequestOutcome | None) -> None:
    begun = await app.requests.begin_request(new)
    if outcome is not None:
        await _finish(app, begun, outcome)


async def _finish(app: AppContext, found: AsyncRequest, outcome: RequestOutcome) -> None:
    """Store the outcome, and with it what callouts are told (contract C8)."""
    content = _callout(app, found, outcome)
    callout = msgspec.json.encode(content).decode()
    await app.requests.finish_request(found.request.id, replace(outcome, callout=callout))


def _callout(app: AppContext, found: AsyncRequest, outcome: RequestOutcome) -> dict[str, object]:
    """The body of "Async Request Succeeded" and "Async Request Failed" (contract C8)."""
    request = found.request
    content: dict[str, object] = {
        "createTime": _second(found.created_time),
        "completeTime": _second(app.now()),
        "request": {
            "id": request.id,
            "method": "POST",
            "url": app.public_url + AsyncOperation(request.operation).path(request.run_id),
            "trackId": request.track_id,
        },
        "state": outcome.state.value,
    }
    if outcome.state is RequestState.SUCCEEDED:
        return content | {"data": {"id": request.run_id}}
    problem = msgspec.json.decode(bytes(decode_response(outcome.response).body))
    reasons = [
        {"code": one.get("code", ""), "message": one.get("message", "")}
        for one in problem.get("errors", [])
    ]
    return content | {"reasons": reasons, "processId": request.id}


def _second(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _with_outcome(app: AppContext, found: AsyncRequest) -> AsyncRequest:
    """The request, with its outcome once that is known. Only a cancel can still be pending here."""
    if found.outcome is not None or found.request.operation != AsyncOperation.CANCEL:
        return found
    run = await app.runs.store.get(found.request.run_id)
    outcome = None if run is None else _cancel_outcome(app, run)
    if outcome is None:
        return found
    await _finish(app, found, outcome)
    return await app.requests.get_request(found.request.id) or found


def _cancel_outcome(app: AppContext, run: Run) -> RequestOutcome | None:
    """A cancel that was accepted succeeds when its run is `canceled`; nothing else can happen."""
    return _succeeded(app, run, 200) if run.state.is_terminal else None


def _succeeded(app: AppContext, run: Run, status: int) -> RequestOutcome:
    body = encode_run(RunDetails(run, links_of(app)), default_view(app.settings))
    return RequestOutcome(RequestState.SUCCEEDED, encode_response(status, body))


def _failed(request: ApiRequest, error: Exception) -> RequestOutcome:
    response = response_for(error, request.api_version)
    stored = encode_response(response.status_code, bytes(response.body))
    return RequestOutcome(RequestState.FAILED, stored)


async def _can_view(app: AppContext, principal: Principal, found: AsyncRequest) -> bool:
    """As for runs: its own, an admin those of the entity, or of the tenant; a client of orgs those
    whose run it sees. A request that has failed has no run to tell of."""
    request = found.request
    if request.tenant_id != principal.tenant_id:
        return False
    is_own = request.client_id == principal.client_id
    in_entity = request.entity_id == principal.entity_id and (is_own or principal.is_admin)
    if not (in_entity or principal.is_tenant_admin):
        return False
    if not principal.org_ids or found.state is RequestState.FAILED:
        return True
    run = await app.runs.store.get(request.run_id)
    return run is not None and can_view(principal, run)


def _request_object(found: AsyncRequest) -> dict[str, object]:
    """The request as plain data. `status` and `body` are those of a synchronous response."""
    content: dict[str, object] = {
        "request_id": found.request.id,
        "state": found.state.value,
        "method": "POST",
        "path": AsyncOperation(found.request.operation).path(found.request.run_id),
        "created_time": iso(found.created_time),
    }
    if found.completed_time is not None:
        content["completed_time"] = iso(found.completed_time)
    if found.outcome is not None:
        response = decode_response(found.outcome.response)
        content["status"] = response.status_code
        content["body"] = msgspec.Raw(bytes(response.body))
        if found.outcome.state is RequestState.SUCCEEDED:
            content["data"] = {"id": found.request.run_id}
    return content
