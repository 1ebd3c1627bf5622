"""The ASGI application, and the way of every request through it, on one screen:

    open      request id; headers and path as the route table knows them
    deadline  60 s until the answer begins: nothing may hang (504)
    errors    whatever is raised below becomes the face's own body, so all stages may just raise
    track id  before anything else is believed: a bad one must not be echoed
    admit     token, then rate (failed calls count), then entity and scope
    handler   reads its body through `bodies` (size limit, gzip), calls one function, renders
    compress  after errors, because those can be long too; before the headers are complete
    stamp     request id, track id, rate limits: on every answer, errors included
    send      outside the deadline: a big download may take its time
    record    one log line and the metrics, with the route's template and never the query string

Plain functions instead of stacked middleware: each stage runs once and wraps nothing, which is
also why a request costs so little.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from uuid import uuid4

from starlette.routing import Route, Router
from starlette.types import Lifespan, Receive, Scope, Send

from queryrun.errors import InvalidRequest, Problem, RequestError
from queryrun.http import access
from queryrun.http.admit import admit
from queryrun.http.bodies import compress
from queryrun.http.context import AppContext
from queryrun.http.headers import track_id
from queryrun.http.limiters import concurrency_headers
from queryrun.http.operations import Operation
from queryrun.http.problems import response_for
from queryrun.http.refusals import MethodNotAllowed, PathNotFound, TimedOut
from queryrun.http.request import ApiRequest, ApiVersion, Response, api_version_of
from queryrun.http.routes import operations


def build_app(app: AppContext, lifespan: Lifespan[Router] | None = None) -> Router:
    """The application over live parts. Routing is made from the same table as the document."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations(app.settings):
        paths.setdefault(operation.path, {})[operation.method] = operation
    routes = [Route(_pattern(path), Endpoint(app, path, table)) for path, table in paths.items()]
    nowhere = Endpoint(app, "-", {})
    return Router(routes, redirect_slashes=False, default=nowhere, lifespan=lifespan)


def _pattern(path: str) -> str:
    """Keys of files may hold slashes; every other parameter is one segment."""
    return path.replace("{key}", "{key:path}")


class Endpoint:
    """One path of the table: an ASGI app that knows the path's methods."""

    def __init__(self, app: AppContext, path: str, table: dict[str, Operation]) -> None:
        self._app = app
        self._path = path
        self._table = dict(table)
        if "GET" in table:
            self._table.setdefault("HEAD", table["GET"])
        self._allowed = ", ".join(sorted(self._table))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        began_s = perf_counter()
        request = _open(scope, receive, self._path)
        response = await self._answer(request)
        compress(request, response)
        _stamp(request, response)
        took_s = perf_counter() - began_s
        try:
            await response.send(request, send)
        finally:
            if response.on_end is not None:
                response.on_end()
            access.record(self._app, request, response.status, took_s)

    async def _answer(self, request: ApiRequest) -> Response:
        """The handler's answer, or the answer to what went wrong."""
        try:
            async with asyncio.timeout(self._app.settings.request_timeout_s) as request.deadline:
                return await self._handled(request)
        except RequestError as error:
            return response_for(error, request.api_version)
        except TimeoutError as error:
            late = request.deadline is not None and request.deadline.expired()
            return response_for(
                TimedOut("no answer in time") if late else error, request.api_version
            )
        except Exception as error:  # the outermost: a 500 and a log line
            access.failed(request, error)
            return response_for(error, request.api_version)

    async def _handled(self, request: ApiRequest) -> Response:
        operation = self._table.get(request.method)
        if operation is None:
            raise MethodNotAllowed(self._allowed) if self._table else PathNotFound("no such path")
        problems: list[Problem] = []
        request.track_id = track_id(request, problems)
        if problems:
            raise InvalidRequest(*problems)
        if operation.scope is not None:
            await admit(self._app, request, operation.scope)
        if request.api_version is not ApiVersion.V1:
            return await operation.handler(self._app, request)
        with self._app.in_flight.counted(request.who.tenant_id) as request.at_once:
            return await operation.handler(self._app, request)


def _open(scope: Scope, receive: Receive, route: str) -> ApiRequest:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, value)
    return ApiRequest(
        scope=scope,
        receive=receive,
        api_version=api_version_of(scope["path"]),
        request_id=str(uuid4()),
        headers=headers,
        route=route,
        path_parameters=scope.get("path_params", {}),
    )


def _stamp(request: ApiRequest, response: Response) -> None:
    """The headers of every answer (contract C7, D3)."""
    headers = response.headers
    headers.append(("zuora-request-id", request.request_id))
    if request.track_id is not None:
        headers.append(("zuora-track-id", request.track_id))
    if request.quota is not None and request.api_version is not ApiVersion.OAUTH:
        headers.append(("ratelimit-limit", request.quota.described))
        headers.append(("ratelimit-remaining", str(request.quota.remaining)))
        headers.append(("ratelimit-reset", str(request.quota.reset_s)))
    if request.at_once is not None:
        headers += concurrency_headers(request.at_once)
