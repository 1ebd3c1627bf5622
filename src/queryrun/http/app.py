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
from queryrun.http.call import Answer, Call, Face, face_of
from queryrun.http.headers import track_id
from queryrun.http.limiters import concurrency_headers
from queryrun.http.operations import Operation
from queryrun.http.parts import HttpParts
from queryrun.http.problems import answer_for
from queryrun.http.refusals import MethodNotAllowed, PathNotFound, TimedOut
from queryrun.http.routes import operations


def build_app(parts: HttpParts, lifespan: Lifespan[Router] | None = None) -> Router:
    """The application over live parts. Routing is made from the same table as the document."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations(parts.settings):
        paths.setdefault(operation.path, {})[operation.method] = operation
    routes = [Route(_pattern(path), Door(parts, path, table)) for path, table in paths.items()]
    nowhere = Door(parts, "-", {})
    return Router(routes, redirect_slashes=False, default=nowhere, lifespan=lifespan)


def _pattern(path: str) -> str:
    """Keys of files may hold slashes; every other parameter is one segment."""
    return path.replace("{key}", "{key:path}")


class Door:
    """One path of the table: an ASGI app that knows the path's methods."""

    def __init__(self, parts: HttpParts, path: str, table: dict[str, Operation]) -> None:
        self._parts = parts
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
        call = _open(scope, receive, self._path)
        answer = await self._answer(call)
        compress(call, answer)
        _stamp(call, answer)
        took_s = perf_counter() - began_s
        try:
            await answer.send(call, send)
        finally:
            if answer.on_end is not None:
                answer.on_end()
            access.record(self._parts, call, answer.status, took_s)

    async def _answer(self, call: Call) -> Answer:
        """The handler's answer, or the answer to what went wrong."""
        try:
            async with asyncio.timeout(self._parts.settings.request_timeout_s) as call.deadline:
                return await self._handled(call)
        except RequestError as error:
            return answer_for(error, call.face)
        except TimeoutError as error:
            late = call.deadline is not None and call.deadline.expired()
            return answer_for(TimedOut("no answer in time") if late else error, call.face)
        except Exception as error:  # the outermost: a 500 and a log line
            access.failed(call, error)
            return answer_for(error, call.face)

    async def _handled(self, call: Call) -> Answer:
        operation = self._table.get(call.method)
        if operation is None:
            raise MethodNotAllowed(self._allowed) if self._table else PathNotFound("no such path")
        wrong: list[Problem] = []
        call.track_id = track_id(call, wrong)
        if wrong:
            raise InvalidRequest(*wrong)
        if operation.scope is not None:
            await admit(self._parts, call, operation.scope)
        if call.face is not Face.V1:
            return await operation.handler(self._parts, call)
        with self._parts.in_flight.counted(call.who.tenant_id) as call.at_once:
            return await operation.handler(self._parts, call)


def _open(scope: Scope, receive: Receive, route: str) -> Call:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, value)
    return Call(
        scope=scope,
        receive=receive,
        face=face_of(scope["path"]),
        request_id=str(uuid4()),
        headers=headers,
        route=route,
        path_parameters=scope.get("path_params", {}),
    )


def _stamp(call: Call, answer: Answer) -> None:
    """The headers of every answer (contract C7, D3)."""
    headers = answer.headers
    headers.append(("zuora-request-id", call.request_id))
    if call.track_id is not None:
        headers.append(("zuora-track-id", call.track_id))
    if call.quota is not None and call.face is not Face.OAUTH:
        headers.append(("ratelimit-limit", call.quota.described))
        headers.append(("ratelimit-remaining", str(call.quota.remaining)))
        headers.append(("ratelimit-reset", str(call.quota.reset_s)))
    if call.at_once is not None:
        headers += concurrency_headers(call.at_once)
