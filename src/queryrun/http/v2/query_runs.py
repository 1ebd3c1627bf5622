"""Create, read and cancel a query run on v2: parse, call one function of the core, render."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from queryrun.errors import InvalidRequest, Problem
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
from queryrun.http.v2.body import BY_NAME, parse_create_body
from queryrun.http.v2.dry_run import is_dry_run, respond_dry
from queryrun.http.v2.extras import run_body
from queryrun.http.v2.render import RunDetails, encode_run
from queryrun.http.v2.requests import cancel_async, create_async
from queryrun.http.v2.view import parse_view, permitted_view
from queryrun.http.v2.webhooks import check_notify_url
from queryrun.runs.cancel import cancel
from queryrun.runs.listen import renew_listener_of
from queryrun.runs.read import read_one
from queryrun.runs.submit import submit


async def create_query_run(app: AppContext, request: ApiRequest) -> Response:
    """`POST /v2/query_runs` (contract A2)."""
    problems: list[Problem] = []
    is_dry = is_dry_run(request, problems)
    raw = await read_json_body(
        request, app.settings.max_body_bytes, body_limit_of(app.threads.bodies, request)
    )
    content = await decode_object(
        raw, BY_NAME, problems, body_limit_of(app.threads.bodies, request)
    )
    if is_dry:
        idempotency.check_key(request, problems)
    elif replay := await idempotency.begin(
        app, request, problems, raw if content is None else content
    ):
        return replay
    view = permitted_view(request.principal, parse_view(request, problems, app.settings))
    is_async = headers.is_async(request, problems)
    org_ids = headers.org_ids(request, request.principal.org_ids, problems)
    body = None if content is None else parse_create_body(content, problems)
    if problems or body is None:
        raise InvalidRequest(*problems)
    if body.notify_url is not None:
        notify_url = await check_notify_url(app, request, body.notify_url)
        body = replace(body, notify_url=notify_url)
    run_request = body.run_request(
        request.principal,
        org_ids,
        app.runs.default_source,
        app.settings.read_deleted,
        None if is_dry else traceparent_of_run(app.tracer, request),
    )
    if is_dry:
        return await respond_dry(app, run_request)
    if is_async:
        return await create_async(app, request, run_request)
    write = idempotency.write_for(
        request, 201, lambda run: encode_run(RunDetails(run, links_of(app)), view)
    )
    request.run_id = new_id()
    accepted = await submit(
        app.runs, run_request, idempotent=write, run_id=request.run_id, origin=request.origin
    )
    if accepted.replay is not None:
        return idempotency.replayed(accepted.replay)
    preference = preference_of(request)
    run = await wait_for_end(app, request, accepted.run, preference)
    run = permitted(request.principal, run)
    location = {"location": f"/v2/query_runs/{run.id}"}
    extra_headers = (
        location | preference.headers | key_warning(run_request.output) | failure_headers(run)
    )
    return JsonResponse(await run_body(app.runs, run, view, links_of(app)), 201, extra_headers)


async def get_query_run(app: AppContext, request: ApiRequest) -> Response:
    """`GET /v2/query_runs/{query_run_id}` (contract A3)."""
    problems: list[Problem] = []
    view = parse_view(request, problems, app.settings)
    headers.org_ids(request, request.principal.org_ids, problems)
    if problems:
        raise InvalidRequest(*problems)
    run = await read_one(app.runs, request.principal, request.path_params["query_run_id"])
    await renew_listener_of(app.runs, run)
    preference = preference_of(request)
    run = await wait_for_end(app, request, run, preference)
    body = await run_body(app.runs, run, view, links_of(app))
    return JsonResponse(body, headers=preference.headers | failure_headers(run))


async def cancel_query_run(app: AppContext, request: ApiRequest) -> Response:
    """`POST /v2/query_runs/{query_run_id}/cancel` (contract A4). A body is never read."""
    problems: list[Problem] = []
    if replay := await idempotency.begin(app, request, problems):
        return replay
    view = permitted_view(request.principal, parse_view(request, problems, app.settings))
    is_async = headers.is_async(request, problems)
    if problems:
        raise InvalidRequest(*problems)
    run_id = request.path_params["query_run_id"]
    if is_async:
        return await cancel_async(app, request, run_id)
    write = idempotency.write_for(
        request, 200, lambda run: encode_run(RunDetails(run, links_of(app)), view)
    )
    preference = preference_of(request)
    wait_s = cancel_wait_s(request, preference)
    run = await cancel(
        app.runs, request.principal, run_id, wait_s=wait_s, idempotent=write, origin=request.origin
    )
    run = permitted(request.principal, run)
    body = await run_body(app.runs, run, view, links_of(app))
    response = JsonResponse(body, headers=preference.headers)
    await idempotency.complete(app, request, response)
    return response
