"""`/healthz`, `/readyz`, `/metrics`: for operators. None needs a token."""

from __future__ import annotations

from hmac import compare_digest

from starlette.responses import Response

from queryrun.errors import Unauthenticated
from queryrun.http.context import AppContext
from queryrun.http.metrics import CONTENT_TYPE, LISTED_ENTITIES
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse

OK = "ok"
SOURCE = "source "
"""Prefix of the names of source checks."""
LIMIT = "limit "
"""Prefix of the names of checks that warn of a limit which is near."""
DATA = "data "
"""Prefix of the names of checks of entities' data."""
SANDBOX = "sandbox"
"""The check of the walls around statements: the operator has accepted what is missing."""
CLOCK, RETENTION, CLUSTER = "clock", "retention", "cluster"
"""Checks that an operator has to look at, while the node serves as before."""
_DEGRADING = (SOURCE, LIMIT, DATA, SANDBOX, CLOCK, RETENTION, CLUSTER)


async def alive(_app: AppContext, _request: ApiRequest) -> Response:
    """200 as long as the process responds at all. Checks nothing else."""
    return JsonResponse(b'{"status":"ok"}')


async def ready(app: AppContext, _request: ApiRequest) -> Response:
    """200 when this node should get requests; otherwise 503 with the failed components.

    A source that is not available is reported as `degraded` with 200: its runs wait, and another
    node could not run them either. So is a limit that is near: a node that got no more requests
    for it could be switched off by whoever opens connections. So is data that is missing: other
    entities have theirs.
    """
    checks = await app.ready()
    if not app.runs.accepting():
        checks = {**checks, "node": "draining"}
    failed = [name for name, state in checks.items() if state != OK]
    unavailable = not all(name.startswith(_DEGRADING) for name in failed)
    status = "unavailable" if unavailable else "degraded" if failed else OK
    body = {"status": status, "checks": checks}
    if app.sandbox:
        body["sandbox"] = app.sandbox
    return JsonResponse(body, 503 if unavailable else 200)


async def metrics(app: AppContext, request: ApiRequest) -> Response:
    """Prometheus' text format. 401 without the operator's token, if there is one."""
    given = request.header(b"authorization") or ""
    expected = f"Bearer {app.metrics_token}"
    if app.metrics_token and not compare_digest(given.encode(), expected.encode()):
        raise Unauthenticated("the metrics of this node ask for the operator's token")
    store = app.runs.store
    text = app.metrics.render(
        await store.counts(),
        await store.unfinished_ages_s(),
        await store.longest_queues(limit=LISTED_ENTITIES),
    )
    return Response(text, media_type=CONTENT_TYPE)
