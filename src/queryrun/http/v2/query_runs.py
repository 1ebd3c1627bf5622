"""Create, read and cancel a query run on the v2 face: parse, call one function, render."""

from __future__ import annotations

from uuid import uuid4

from queryrun.errors import InvalidRequest, Problem
from queryrun.http import headers, once
from queryrun.http.bodies import read_json_body
from queryrun.http.call import Answer, Call
from queryrun.http.links import links_of
from queryrun.http.parts import HttpParts
from queryrun.http.properties import decode_object, key_warning
from queryrun.http.v2 import requests
from queryrun.http.v2.body import CreateBody, parse_create_body
from queryrun.http.v2.extras import gather_extras
from queryrun.http.v2.render import Shown, render_run
from queryrun.http.v2.view import View, parse_view
from queryrun.http.waits import cancel_wait_s, waited
from queryrun.runs.cancel import cancel
from queryrun.runs.model import Run, RunRequest, StoredAnswer
from queryrun.runs.read import read_one
from queryrun.runs.submit import submit


async def create_query_run(parts: HttpParts, call: Call) -> Answer:
    """`POST /v2/query_runs` (contract A2): once per idempotency key, refusals included."""
    wrong: list[Problem] = []
    key_text = headers.idempotency_key(call, wrong)
    raw = await read_json_body(call, parts.settings.body_bytes)
    content = decode_object(raw, wrong)
    key = once.key_of(call, key_text, raw if content is None else content)
    return await once.answered(parts, call, key, lambda: _create(parts, call, content, key, wrong))


async def _create(
    parts: HttpParts,
    call: Call,
    content: dict[str, object] | None,
    key: once.Key | None,
    wrong: list[Problem],
) -> Answer:
    view = parse_view(call, wrong, strict=parts.settings.strict_fields)
    later = headers.asynchronous(call, wrong)
    org_ids = headers.org_ids(call, call.who.org_ids, wrong)
    body = None if content is None else parse_create_body(content, wrong)
    if wrong or body is None:
        raise InvalidRequest(*wrong)
    request = _request(parts, call, body, org_ids)
    if later:
        return await requests.create_later(parts, call, request, key)
    return await _create_now(parts, call, request, key, view)


async def _create_now(
    parts: HttpParts, call: Call, request: RunRequest, key: once.Key | None, view: View
) -> Answer:
    links = links_of(parts)
    stored = once.stored_with(
        key, lambda run: StoredAnswer(201, render_run(Shown(run, links), view))
    )
    call.run_id = str(uuid4())
    accepted = await submit(parts.desk, request, idempotent=stored, run_id=call.run_id)
    if accepted.replay is not None:
        return once.replayed(accepted.replay)
    wish = headers.preference(call)
    run = await waited(parts, call, accepted.run, wish)
    answer = await _shown(parts, run, view, 201)
    answer.headers += [("location", f"/v2/query_runs/{run.id}"), *wish.applied]
    answer.headers += key_warning(request.output)
    return answer


async def get_query_run(parts: HttpParts, call: Call) -> Answer:
    """`GET /v2/query_runs/{query_run_id}` (contract A3)."""
    wrong: list[Problem] = []
    view = parse_view(call, wrong, strict=parts.settings.strict_fields)
    headers.org_ids(call, call.who.org_ids, wrong)
    if wrong:
        raise InvalidRequest(*wrong)
    run = await read_one(parts.desk, call.who, _run_id(call))
    wish = headers.preference(call)
    run = await waited(parts, call, run, wish)
    answer = await _shown(parts, run, view, 200)
    answer.headers += wish.applied
    return answer


async def cancel_query_run(parts: HttpParts, call: Call) -> Answer:
    """`POST /v2/query_runs/{query_run_id}/cancel` (contract A4). A body is never read."""
    wrong: list[Problem] = []
    key = once.key_of(call, headers.idempotency_key(call, wrong))
    return await once.answered(parts, call, key, lambda: _cancel(parts, call, key, wrong))


async def _cancel(
    parts: HttpParts, call: Call, key: once.Key | None, wrong: list[Problem]
) -> Answer:
    view = parse_view(call, wrong, strict=parts.settings.strict_fields)
    later = headers.asynchronous(call, wrong)
    if wrong:
        raise InvalidRequest(*wrong)
    if later:
        return await requests.cancel_later(parts, call, _run_id(call), key)
    return await _cancel_now(parts, call, key, view)


async def _cancel_now(parts: HttpParts, call: Call, key: once.Key | None, view: View) -> Answer:
    wish = headers.preference(call)
    links = links_of(parts)
    stored = once.stored_with(
        key, lambda run: StoredAnswer(200, render_run(Shown(run, links), view))
    )
    wait_s = cancel_wait_s(call, wish)
    run = await cancel(parts.desk, call.who, _run_id(call), wait_s=wait_s, idempotent=stored)
    answer = await _shown(parts, run, view, 200)
    await once.finish(parts, key, answer)
    answer.headers += wish.applied
    return answer


def _run_id(call: Call) -> str:
    call.run_id = call.path_parameters["query_run_id"]
    return call.run_id


def _request(
    parts: HttpParts, call: Call, body: CreateBody, org_ids: tuple[str, ...]
) -> RunRequest:
    who = call.who
    return RunRequest(
        tenant_id=who.tenant_id,
        entity_id=who.entity_id,
        client_id=who.client_id,
        source=body.source or parts.desk.default_source,
        sql=body.sql,
        output=body.output,
        deleted_rows=body.deleted_rows(means_only=parts.settings.read_deleted_means_only),
        timeout_s=body.timeout_s,
        tags=body.tags,
        org_ids=org_ids,
    )


async def _shown(parts: HttpParts, run: Run, view: View, status: int) -> Answer:
    extras = await gather_extras(parts.desk, run, view)
    shown = Shown(run, links_of(parts), extras, full_file=view.wants("file"))
    return Answer(status, render_run(shown, view))
