"""`/healthz`, `/readyz`, `/metrics`: for whoever runs the service. None needs a token."""

from __future__ import annotations

import msgspec

from queryrun.http.call import Answer, Call
from queryrun.http.metrics import CONTENT_TYPE
from queryrun.http.parts import HttpParts

OK = "ok"
SOURCE = "source "
"""What the names of checks of sources begin with."""


async def alive(_parts: HttpParts, _call: Call) -> Answer:
    """200 as long as the process answers at all; looks at nothing else."""
    return Answer(200, b'{"status":"ok"}')


async def ready(parts: HttpParts, _call: Call) -> Answer:
    """200 when this node should get requests; otherwise 503, and which part is not well.

    A source that is away is told, `degraded`, but keeps nobody from asking: its runs wait, and
    another node could do no better.
    """
    checks = await parts.ready()
    if not parts.runs.accepting():
        checks = {**checks, "node": "draining"}
    unwell = [name for name, state in checks.items() if state != OK]
    away = not all(name.startswith(SOURCE) for name in unwell)
    status = "unavailable" if away else "degraded" if unwell else OK
    return Answer(503 if away else 200, msgspec.json.encode({"status": status, "checks": checks}))


async def metrics(parts: HttpParts, _call: Call) -> Answer:
    """Prometheus' text format."""
    counts = await parts.runs.store.counts()
    return Answer(200, parts.metrics.render(counts), CONTENT_TYPE)
