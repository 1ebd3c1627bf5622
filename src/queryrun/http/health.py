"""`/healthz`, `/readyz`, `/metrics`: for whoever runs the service. None needs a token."""

from __future__ import annotations

import msgspec

from queryrun.http.context import AppContext
from queryrun.http.metrics import CONTENT_TYPE
from queryrun.http.request import ApiRequest, Response

OK = "ok"
SOURCE = "source "
"""What the names of checks of sources begin with."""


async def alive(_app: AppContext, _call: ApiRequest) -> Response:
    """200 as long as the process answers at all; looks at nothing else."""
    return Response(200, b'{"status":"ok"}')


async def ready(app: AppContext, _call: ApiRequest) -> Response:
    """200 when this node should get requests; otherwise 503, and which part is not well.

    A source that is away is told, `degraded`, but keeps nobody from asking: its runs wait, and
    another node could do no better.
    """
    checks = await app.ready()
    if not app.runs.accepting():
        checks = {**checks, "node": "draining"}
    unwell = [name for name, state in checks.items() if state != OK]
    away = not all(name.startswith(SOURCE) for name in unwell)
    status = "unavailable" if away else "degraded" if unwell else OK
    return Response(503 if away else 200, msgspec.json.encode({"status": status, "checks": checks}))


async def metrics(app: AppContext, _call: ApiRequest) -> Response:
    """Prometheus' text format."""
    counts = await app.runs.store.counts()
    return Response(200, app.metrics.render(counts), CONTENT_TYPE)
