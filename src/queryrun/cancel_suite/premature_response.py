"""Class A: the response says `canceled` too early. The check queries the engine itself."""

from __future__ import annotations

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Target
from queryrun.cancel_suite.verify import cancel_and_verify, wait_computing

COUNT = 200


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Cancel runs that compute, and inspect the process table right after the response."""
    finding = Finding("A", "canceled means gone from the engine")
    count = plan.count(COUNT, least=4, share=target.engine.bounds.share)
    progress.begin(finding.title, count)
    if target.local is None and not target.engine.is_remote:
        finding.notes.append("server on another machine: its process table was not inspected")
    sqls = (target.statements.runaway, target.statements.stubborn)
    for number in range(count):
        await _one(target, finding, sqls[number % 2])
        progress.step()
    return finding


async def _one(target: Target, finding: Finding, sql: str) -> None:
    """The worker is found before the cancel, so that its exit can be verified by its pidfd."""
    run_id = await target.submit(sql)
    busy = await wait_computing(target, run_id)
    duration_ms = await cancel_and_verify(target, finding, run_id, busy)
    if duration_ms is not None:
        finding.latencies_ms.append(duration_ms)
    if busy is not None:
        busy.close()
