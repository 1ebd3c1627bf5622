"""The ASGI application: starlette's router over the route table, an `Endpoint` per path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Route, Router
from starlette.types import Lifespan, Receive, Scope, Send

from queryrun.http.context import AppContext
from queryrun.http.endpoint import Endpoint
from queryrun.http.operations import Operation
from queryrun.http.routes import operations


class ApiRouter(Router):
    """Serves a path with a slash at its end as the path without: the same endpoint, no redirect
    (contract A1). Every step after it, logs and idempotency keys included, sees one path."""

    def __init__(self, endpoints: Mapping[str, Endpoint], **options: Any) -> None:
        """`endpoints`: by path. One without parameters is found by its path and has no pattern."""
        self._fixed = {path: one for path, one in endpoints.items() if "{" not in path}
        routes = [
            Route(_pattern(path), endpoint)
            for path, endpoint in endpoints.items()
            if path not in self._fixed
        ]
        super().__init__(routes, redirect_slashes=False, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request, or the lifespan."""
        if scope["type"] == "http":
            scope = without_trailing_slash(scope)
            endpoint = self._fixed.get(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def without_trailing_slash(scope: Scope) -> Scope:
    """The scope with one slash less at the end of its path; `/` stays, and so does a slash that
    was sent percent-encoded, because it belongs to a name."""
    path: str = scope["path"]
    sent = scope.get("raw_path") or path.encode()
    if len(path) < 2 or not (path.endswith("/") and sent.endswith(b"/")):
        return scope
    return {**scope, "path": path[:-1], "raw_path": sent[:-1], "sent_path": path}


def build_app(app: AppContext, lifespan: Lifespan[Router] | None = None) -> Router:
    """The application. Its routes come from the same table as the OpenAPI document."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations(app.settings):
        paths.setdefault(operation.path, {})[operation.method] = operation
    endpoints = {path: Endpoint(app, path, methods) for path, methods in paths.items()}
    not_found = Endpoint(app, "-", {})
    return ApiRouter(endpoints, default=not_found, lifespan=lifespan)


def _pattern(path: str) -> str:
    """Keys of files, addresses of the console and pages of the manual may contain slashes; other
    parameters are one segment."""
    for name in ("key", "address", "page"):
        path = path.replace(f"{{{name}}}", f"{{{name}:path}}")
    return path
