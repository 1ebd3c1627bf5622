"""One path of the route table as an ASGI app: every request takes these steps, in this order.

    request   request id; headers and path as the route table knows them
    deadline  60 s until the response begins: no request may hang (504)
    errors    any exception of a step below becomes a body of the request's API
    track id  before anything else is used: an invalid one must not be echoed
    authorize token, then rate (failed requests count), then entity and scope
    handler   parses, calls one function of the core, renders
    compress  after errors, because those can be long too; before the headers are complete
    headers   request id, track id, rate limits: on every response, errors included
    send      outside the deadline: a large download may take long
    log       one log line and the metrics, with the route's template and never the query string

Plain calls instead of stacked middleware: each step runs once and wraps nothing, which also
keeps the cost of a request low.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from queryrun.causes import Cause, cause_of
from queryrun.errors import RequestError, Unavailable
from queryrun.http import access_log, idempotency
from queryrun.http.api_version import ApiVersion
from queryrun.http.authorize import authorize
from queryrun.http.compression import compress
from queryrun.http.context import AppContext
from queryrun.http.errors import MethodNotAllowed, PathNotFound, TimedOut
from queryrun.http.headers import track_id
from queryrun.http.operations import Operation
from queryrun.http.problems import response_for
from queryrun.http.request import ApiRequest
from queryrun.http.response_headers import add_headers
from queryrun.http.trace import read_trace, record_request


class Endpoint:
    """The operations of one path, by method. HEAD is GET without its body."""

    def __init__(self, app: AppContext, route: str, operations: Mapping[str, Operation]) -> None:
        self._app = app
        self._route = route
        self._operations = dict(operations)
        if "GET" in operations:
            self._operations.setdefault("HEAD", operations["GET"])
        self._allowed = ", ".join(sorted(self._operations))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        start_s = perf_counter()
        request = ApiRequest(scope, receive, self._route)
        read_trace(self._app.tracer, request)
        try:
            response = await self._respond(request)
        finally:
            if request.body_limit is not None:
                request.body_limit.close()
        compress(request, response)
        add_headers(request, response)
        duration_s = perf_counter() - start_s
        try:
            if request.method == "HEAD":
                await _send_headers(response, send)
            else:
                with suppress(ClientDisconnect):
                    await response(scope, receive, send)
        finally:
            access_log.record(self._app.metrics, request, response.status_code, duration_s)
            record_request(self._app.tracer, request, response.status_code, duration_s)

    async def _respond(self, request: ApiRequest) -> Response:
        """The handler's response, or the response for an error."""
        try:
            async with asyncio.timeout(self._app.settings.request_timeout_s) as request.deadline:
                return await self._handle(request)
        except RequestError as error:
            return response_for(error, request.api_version)
        except TimeoutError as error:
            expired = request.deadline is not None and request.deadline.expired()
            timed_out = TimedOut("no response in time") if expired else error
            return response_for(timed_out, request.api_version)
        except Exception as error:  # the outermost: a 500 and a log line
            access_log.record_error(request, error)
            return response_for(_public(error), request.api_version)

    async def _handle(self, request: ApiRequest) -> Response:
        """The steps up to the handler. A refusal is stored if the request has an idempotency key,
        so that handlers may raise at any point."""
        operation = self._operations.get(request.method)
        if operation is None:
            raise MethodNotAllowed(self._allowed) if self._allowed else PathNotFound("no such path")
        request.track_id = track_id(request)
        if operation.scope is not None:
            await authorize(self._app, request, operation.scope)
        is_v1 = request.api_version is ApiVersion.V1
        count = self._app.concurrency.counted
        in_progress = count(request.principal.entity_id) if is_v1 else nullcontext()
        with in_progress as request.concurrent_requests:
            try:
                return await operation.handler(self._app, request)
            except RequestError as error:
                if request.idempotency_key is not None:
                    refusal = response_for(error, request.api_version)
                    await idempotency.store_response(self._app, request, refusal)
                raise


_OF_DISK = {Cause.READ_ONLY, Cause.IO_ERROR}


async def _send_headers(response: Response, send: Send) -> None:
    """The response without its body: what a HEAD gets."""
    start = {"type": "http.response.start", "status": response.status_code}
    await send({**start, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": b""})


def _public(error: Exception) -> Exception:
    """A shortage of the node, or a fault of its disk, is no bug: the caller may try again."""
    cause = cause_of(error)
    if cause is None or not (cause.may_pass or cause in _OF_DISK):
        return error
    return Unavailable("the node is short of something at the moment; try again", cause)
