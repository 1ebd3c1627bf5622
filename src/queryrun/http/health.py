"""`/healthz`, `/readyz`, `/metrics`: for whoever runs the service. None needs a token."""

from __future__ import annotations

import msgspec

from queryrun.http.call import Answer, Call
from queryrun.http.metrics import CONTENT_TYPE
from queryrun.http.parts import HttpParts

OK = "ok"


async def alive(_parts: HttpParts, _call: Call) -> Answer:
    """200 as long as the process answers at all; looks at nothing else."""
    return Answer(200, b'{"status":"ok"}')


async def ready(parts: HttpParts, _call: Call) -> Answer:
    """200 when this node should get requests; otherwise 503, and which part is not well."""
    checks = await parts.ready()
    if not parts.desk.accepting():
        checks = {**checks, "node": "draining"}
    well = all(state == OK for state in checks.values())
    body = {"status": OK if well else "unavailable", "checks": checks}
    return Answer(200 if well else 503, msgspec.json.encode(body))


async def metrics(parts: HttpParts, _call: Call) -> Answer:
    """Prometheus' text format."""
    counts = await parts.desk.store.counts()
    return Answer(200, parts.metrics.render(counts), CONTENT_TYPE)
