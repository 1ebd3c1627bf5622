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
from queryrun.http.call import Answer, Call
from queryrun.http.links import links_of
from queryrun.http.parts import HttpParts
from queryrun.http.problems import answer_for
from queryrun.http.times import iso
from queryrun.http.v2.render import Shown, render_run
from queryrun.http.v2.view import DEFAULT_VIEW
from queryrun.runs.cancel import cancel
from queryrun.runs.model import Run, RunRequest, StoredAnswer
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState
from queryrun.runs.submit import submit

CANCEL_PATH = re.compile(r"/v2/query_runs/([^/]+)/cancel")


async def create_later(
    parts: HttpParts, call: Call, request: RunRequest, key: once.Key | None
) -> Answer:
    """Accept the run, record the outcome, answer with ids alone. The run's id is in `Location`
    even when the statement was refused: which of the two is the request's outcome (H4)."""
    run_id = str(uuid4())
    answer = _only_ids(call, f"/v2/query_runs/{run_id}")
    stored = once.stored_with(key, lambda _: StoredAnswer(answer.status, answer.body))
    try:
        accepted = await submit(parts.desk, request, idempotent=stored, run_id=run_id)
    except InvalidRequest as error:
        await _record(parts, call, _failed(answer_for(error, call.face)))
        await once.keep(parts, key, answer)
        return answer
    if accepted.replay is not None:
        return once.replayed(accepted.replay)
    call.run_id = run_id
    await _record(parts, call, _succeeded(parts, accepted.run, 201))
    return answer


async def cancel_later(parts: HttpParts, call: Call, run_id: str, key: once.Key | None) -> Answer:
    """Record the cancel and answer with the request's id; an unknown or ended run is an outcome."""
    answer = _only_ids(call, f"/v2/requests/{call.request_id}")
    stored = once.stored_with(key, lambda _: StoredAnswer(answer.status, answer.body))
    try:
        run = await cancel(parts.desk, call.who, run_id, wait_s=0.0, idempotent=stored)
    except (NotFound, NotCancellable) as error:
        await _record(parts, call, _failed(answer_for(error, call.face)))
        await once.keep(parts, key, answer)
        return answer
    await _record(parts, call, _cancel_outcome(parts, run))
    await once.finish(parts, key, answer)
    return answer


async def get_request(parts: HttpParts, call: Call) -> Answer:
    """`GET /v2/requests/{request_id}`: how an asynchronous request went."""
    request_id = call.path_parameters["request_id"]
    found = await parts.requests.get_request(request_id)
    if found is None or not _may_see(call.who, found.request):
        raise NotFound("request_id", f"Request {request_id[:64]!r} could not be found")
    settled = await _settled(parts, found)
    return Answer(200, msgspec.json.encode(_shown(settled)))


def _only_ids(call: Call, location: str) -> Answer:
    body = msgspec.json.encode({"request_id": call.request_id})
    return Answer(202, body, headers=[("location", location)])


async def _record(parts: HttpParts, call: Call, outcome: RequestOutcome | None) -> None:
    who = call.who
    request = NewRequest(call.request_id, who.tenant_id, who.client_id, call.method, call.path)
    await parts.requests.begin_request(request)
    if outcome is not None:
        await parts.requests.finish_request(request.id, outcome)


async def _settled(parts: HttpParts, found: AsyncRequest) -> AsyncRequest:
    """The request with its outcome, if its run has ended since."""
    target = CANCEL_PATH.fullmatch(found.request.path)
    if found.outcome is not None or target is None:
        return found
    run = await parts.desk.store.get(target[1])
    outcome = None if run is None else _cancel_outcome(parts, run)
    if outcome is None:
        return found
    await parts.requests.finish_request(found.request.id, outcome)
    return await parts.requests.get_request(found.request.id) or found


def _cancel_outcome(parts: HttpParts, run: Run) -> RequestOutcome | None:
    """A cancel that was accepted succeeds when its run is `canceled`; nothing else can happen."""
    return _succeeded(parts, run, 200) if run.state.is_terminal else None


def _succeeded(parts: HttpParts, run: Run, status: int) -> RequestOutcome:
    body = render_run(Shown(run, links_of(parts)), DEFAULT_VIEW)
    return RequestOutcome(RequestState.SUCCEEDED, StoredAnswer(status, body), run.id)


def _failed(answer: Answer) -> RequestOutcome:
    return RequestOutcome(RequestState.FAILED, StoredAnswer(answer.status, answer.body))


def _may_see(who: Principal, request: NewRequest) -> bool:
    mine = request.client_id == who.client_id
    return request.tenant_id == who.tenant_id and (mine or who.is_admin)


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
