"""`/healthz`, `/readyz`, `/metrics`: for operators. None needs a token."""

from __future__ import annotations

from starlette.responses import Response

from queryrun.http.context import AppContext
from queryrun.http.metrics import CONTENT_TYPE
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse

OK = "ok"
SOURCE = "source "
"""Prefix of the names of source checks."""


async def alive(_app: AppContext, _request: ApiRequest) -> Response:
    """200 as long as the process responds at all. Checks nothing else."""
    return JsonResponse(b'{"status":"ok"}')


async def ready(app: AppContext, _request: ApiRequest) -> Response:
    """200 when this node should get requests; otherwise 503 with the failed components.

    A source that is not available is reported as `degraded` with 200: its runs wait, and another
    node could not run them either.
    """
    checks = await app.ready()
    if not app.runs.accepting():
        checks = {**checks, "node": "draining"}
    failed = [name for name, state in checks.items() if state != OK]
    unavailable = not all(name.startswith(SOURCE) for name in failed)
    status = "unavailable" if unavailable else "degraded" if failed else OK
    body = {"status": status, "checks": checks}
    if app.sandbox:
        body["sandbox"] = app.sandbox
    return JsonResponse(body, 503 if unavailable else 200)


async def metrics(app: AppContext, _request: ApiRequest) -> Response:
    """Prometheus' text format."""
    counts = await app.runs.store.counts()
    return Response(app.metrics.render(counts), media_type=CONTENT_TYPE)
