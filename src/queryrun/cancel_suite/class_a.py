"""Class A: only the front end stops. After the 200, the engine is asked, not the service."""

from __future__ import annotations

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.proof import begun, cancel_and_prove
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Target

COUNT = 200


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Cancel runs that compute, and look for their processes in the same breath."""
    finding = Finding("A", "canceled means gone from the engine")
    count = plan.count(COUNT, least=4, share=target.engine.bounds.share)
    progress.begin(finding.title, count)
    if target.local is None and not target.engine.is_elsewhere:
        finding.notes.append("the server is elsewhere: its process table was not looked at")
    for number in range(count):
        await _one(target, finding, (target.words.runaway, target.words.stubborn)[number % 2])
        progress.step()
    return finding


async def _one(target: Target, finding: Finding, sql: str) -> None:
    run_id = await target.submit(sql)
    busy = await begun(target, run_id)
    took_ms = await cancel_and_prove(target, finding, run_id, busy)
    if took_ms is not None:
        finding.latencies_ms.append(took_ms)
    if busy is not None:
        busy.close()
