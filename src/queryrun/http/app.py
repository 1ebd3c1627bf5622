"""The ASGI application: starlette's router over the route table, an `Endpoint` per path."""

from __future__ import annotations

from starlette.routing import Route, Router
from starlette.types import Lifespan

from queryrun.http.context import AppContext
from queryrun.http.endpoint import Endpoint
from queryrun.http.operations import Operation
from queryrun.http.routes import operations


def build_app(app: AppContext, lifespan: Lifespan[Router] | None = None) -> Router:
    """The application. Its routes come from the same table as the OpenAPI document."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations(app.settings):
        paths.setdefault(operation.path, {})[operation.method] = operation
    routes = [
        Route(_pattern(path), Endpoint(app, path, methods)) for path, methods in paths.items()
    ]
    not_found = Endpoint(app, "-", {})
    return Router(routes, redirect_slashes=False, default=not_found, lifespan=lifespan)


def _pattern(path: str) -> str:
    """Keys of files may contain slashes; every other parameter is one segment."""
    return path.replace("{key}", "{key:path}")
