"""Class C: the stop flag is not checked. The bound holds for every statement of the library."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from queryrun.cancel_suite.engine import Bounds
from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.proof import begun, cancel_and_prove
from queryrun.cancel_suite.report import Bar, Finding, Latency, Row, percentile
from queryrun.cancel_suite.spill import see_it_spill
from queryrun.cancel_suite.statements import Statement, body_of
from queryrun.cancel_suite.target import Target, Unexpected

BUSY_S = (0.05, 0.2, 0.5, 1.0, 2.0)
"""CPU seconds that a statement has used when its cancel comes, one repetition each; on an engine
elsewhere seconds since it showed the statement."""
SPILLED = -1.0
"""Not a time: the moment when a statement has begun to spill."""
LEAST_SHARE = 0.8
"""Of the library, that must be measured for the class to say anything."""


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Cancel each statement of the library several times while it really computes."""
    finding = Finding("C", "bounded, however badly it behaves")
    library = [s for s in target.words.library if not plan.only or s.name in plan.only]
    moments = BUSY_S[: plan.count(len(BUSY_S))]
    spilling = sum(statement.spills for statement in library)
    progress.begin(finding.title, len(library) * len(moments) + spilling)
    key = _public_key()
    heeding: list[float] = []
    for statement in library:
        took = await _row(target, finding, progress, statement, moments, key)
        heeding += took if statement.heeds else []
    enough = len(finding.rows) >= LEAST_SHARE * len(library)
    finding.expect(enough, f"only {len(finding.rows)} of {len(library)} could be measured")
    _judge(finding, heeding, target.engine.bounds)
    return finding


async def _row(
    target: Target,
    finding: Finding,
    progress: Progress,
    statement: Statement,
    moments: Sequence[float],
    key: str,
) -> list[float]:
    """One statement, once per moment; its latencies."""
    took: list[float] = []
    stops: dict[str, int] = {}
    for used_s in (*moments, SPILLED) if statement.spills else moments:
        progress.step(say=statement.name)
        try:
            ms, stop = await _once(target, finding, statement, used_s, key)
        except Unexpected as refused:
            finding.notes.append(f"{statement.name}: does not count, {refused}")
            break
        if ms is not None:
            took.append(ms)
            stops[stop] = stops.get(stop, 0) + 1
    if took:
        note = ", ".join(f"{count} {stop}" for stop, count in stops.items())
        finding.rows.append(Row(statement.name, Latency.of(took), note))
        finding.latencies_ms += took
    return took


async def _once(
    target: Target, finding: Finding, statement: Statement, used_s: float, key: str
) -> tuple[float | None, str]:
    body = body_of(statement, key)
    run_id = await target.submit(statement.sql(), statement.content_type, **body)
    busy = await begun(target, run_id, abs(used_s))
    if used_s == SPILLED and target.local is not None:
        await see_it_spill(target.local, finding, statement.name)
    if busy is None and (target.local is not None or target.engine.is_elsewhere):
        run = await target.read(run_id, "state,error")
        await target.cancel(run_id)
        error = run.get("error", {}).get("message", "")
        finding.notes.append(
            f"{statement.name}: {run['state']} before {used_s} s, not counted {error[:80]}"
        )
        return None, ""
    ms = await cancel_and_prove(target, finding, run_id, busy)
    if busy is not None:
        busy.close()
    record = (await target.read(run_id, "cancellation")).get("cancellation") or {}
    return ms, f"{record.get('engine_stop')} in {record.get('stage')}"


def _judge(finding: Finding, heeding: Sequence[float], bounds: Bounds) -> None:
    finding.bars.append(Bar("p99", percentile(finding.latencies_ms, 0.99), bounds.p99_ms))
    finding.bars.append(Bar("max", percentile(finding.latencies_ms, 1.0), bounds.max_ms))
    if heeding and bounds.heeding_p50_ms is not None:
        name = "p50 of statements that heed interrupts"
        finding.bars.append(Bar(name, percentile(heeding, 0.5), bounds.heeding_p50_ms))
    finding.notes.append(f"{len(finding.rows)} statements")


def _public_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = rsa.generate_private_key(65537, 2048).public_key()
    return base64.b64encode(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()
