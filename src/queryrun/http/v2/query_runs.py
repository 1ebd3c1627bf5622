"""Create, read and cancel a query run on the v2 face: parse, call one function, render."""

from __future__ import annotations

from uuid import uuid4

from queryrun.errors import InvalidRequest, Problem
from queryrun.http import headers, idempotency
from queryrun.http.bodies import read_json_body
from queryrun.http.context import AppContext
from queryrun.http.links import links_of
from queryrun.http.properties import decode_object, key_warning
from queryrun.http.request import ApiRequest, Response
from queryrun.http.v2 import requests
from queryrun.http.v2.body import CreateBody, parse_create_body
from queryrun.http.v2.extras import gather_extras
from queryrun.http.v2.render import Shown, render_run
from queryrun.http.v2.view import View, parse_view
from queryrun.http.waits import cancel_wait_s, waited
from queryrun.runs.cancel import cancel
from queryrun.runs.model import IdempotencyKey, Run, RunRequest
from queryrun.runs.read import read_one
from queryrun.runs.submit import submit


async def create_query_run(app: AppContext, request: ApiRequest) -> Response:
    """`POST /v2/query_runs` (contract A2): once per idempotency key, refusals included."""
    problems: list[Problem] = []
    key_text = headers.idempotency_key(request, problems)
    raw = await read_json_body(request, app.settings.body_bytes)
    content = decode_object(raw, problems)
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
    view = parse_view(request, problems, strict=app.settings.strict_fields)
    later = headers.asynchronous(request, problems)
    org_ids = headers.org_ids(request, request.who.org_ids, problems)
    body = None if content is None else parse_create_body(content, problems)
    if problems or body is None:
        raise InvalidRequest(*problems)
    run_request = _request(app, request, body, org_ids)
    if later:
        return await requests.create_later(app, request, run_request, key)
    return await _create_now(app, request, run_request, key, view)


async def _create_now(
    app: AppContext,
    request: ApiRequest,
    run_request: RunRequest,
    key: IdempotencyKey | None,
    view: View,
) -> Response:
    links = links_of(app)
    write = idempotency.write_with(key, 201, lambda run: render_run(Shown(run, links), view))
    request.run_id = str(uuid4())
    accepted = await submit(app.runs, run_request, idempotent=write, run_id=request.run_id)
    if accepted.replay is not None:
        return idempotency.replayed(accepted.replay)
    preference = headers.preference(request)
    run = await waited(app, request, accepted.run, preference)
    response = await _shown(app, run, view, 201)
    response.headers += [("location", f"/v2/query_runs/{run.id}"), *preference.applied]
    response.headers += key_warning(run_request.output)
    return response


async def get_query_run(app: AppContext, request: ApiRequest) -> Response:
    """`GET /v2/query_runs/{query_run_id}` (contract A3)."""
    problems: list[Problem] = []
    view = parse_view(request, problems, strict=app.settings.strict_fields)
    headers.org_ids(request, request.who.org_ids, problems)
    if problems:
        raise InvalidRequest(*problems)
    run = await read_one(app.runs, request.who, _run_id(request))
    preference = headers.preference(request)
    run = await waited(app, request, run, preference)
    response = await _shown(app, run, view, 200)
    response.headers += preference.applied
    return response


async def cancel_query_run(app: AppContext, request: ApiRequest) -> Response:
    """`POST /v2/query_runs/{query_run_id}/cancel` (contract A4). A body is never read."""
    problems: list[Problem] = []
    key = idempotency.key_of(request, headers.idempotency_key(request, problems))
    return await idempotency.idempotent(
        app, request, key, lambda: _cancel(app, request, key, problems)
    )


async def _cancel(
    app: AppContext, request: ApiRequest, key: IdempotencyKey | None, problems: list[Problem]
) -> Response:
    view = parse_view(request, problems, strict=app.settings.strict_fields)
    later = headers.asynchronous(request, problems)
    if problems:
        raise InvalidRequest(*problems)
    if later:
        return await requests.cancel_later(app, request, _run_id(request), key)
    return await _cancel_now(app, request, key, view)


async def _cancel_now(
    app: AppContext, request: ApiRequest, key: IdempotencyKey | None, view: View
) -> Response:
    preference = headers.preference(request)
    links = links_of(app)
    write = idempotency.write_with(key, 200, lambda run: render_run(Shown(run, links), view))
    wait_s = cancel_wait_s(request, preference)
    run = await cancel(app.runs, request.who, _run_id(request), wait_s=wait_s, idempotent=write)
    response = await _shown(app, run, view, 200)
    await idempotency.complete(app, key, response)
    response.headers += preference.applied
    return response


def _run_id(request: ApiRequest) -> str:
    request.run_id = request.path_parameters["query_run_id"]
    return request.run_id


def _request(
    app: AppContext, request: ApiRequest, body: CreateBody, org_ids: tuple[str, ...]
) -> RunRequest:
    who = request.who
    return RunRequest(
        tenant_id=who.tenant_id,
        entity_id=who.entity_id,
        client_id=who.client_id,
        source=body.source or app.runs.default_source,
        sql=body.sql,
        output=body.output,
        deleted_rows=body.deleted_rows(means_only=app.settings.read_deleted_means_only),
        timeout_s=body.timeout_s,
        tags=body.tags,
        org_ids=org_ids,
    )


async def _shown(app: AppContext, run: Run, view: View, status: int) -> Response:
    extras = await gather_extras(app.runs, run, view)
    shown = Shown(run, links_of(app), extras, full_file=view.wants("file"))
    return Response(status, render_run(shown, view))
