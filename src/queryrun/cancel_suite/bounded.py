"""Class C: the engine does not check the stop flag. The limit holds for every statement."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from queryrun.cancel_suite.engine import Bounds
from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Bar, Finding, Latency, Row, percentile
from queryrun.cancel_suite.spill import wait_for_spill
from queryrun.cancel_suite.statements import Statement, body_of
from queryrun.cancel_suite.target import Target, UnexpectedResponse
from queryrun.cancel_suite.verify import cancel_and_verify, wait_computing

BUSY_S = (0.05, 0.2, 0.5, 1.0, 2.0)
"""CPU seconds that a statement has used before its cancel, one repetition each; on a remote engine
the seconds since it listed the statement."""
SPILLED = -1.0
"""Not a time: cancel once the statement has begun to spill."""
MIN_SHARE = 0.8
"""The share of the library that must be measured for the class to hold."""


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Cancel each statement of the library several times while it computes."""
    finding = Finding("C", "bounded for every statement")
    library = [s for s in target.statements.library if not plan.only or s.name in plan.only]
    delays = BUSY_S[: plan.count(len(BUSY_S))]
    spilling = sum(statement.spills for statement in library)
    progress.begin(finding.title, len(library) * len(delays) + spilling)
    key = _public_key()
    interruptible_ms: list[float] = []
    for statement in library:
        durations_ms = await _row(target, finding, progress, statement, delays, key)
        interruptible_ms += durations_ms if statement.interruptible else []
    enough = len(finding.rows) >= MIN_SHARE * len(library)
    finding.expect(enough, f"only {len(finding.rows)} of {len(library)} could be measured")
    _add_bars(finding, interruptible_ms, target.engine.bounds)
    return finding


async def _row(
    target: Target,
    finding: Finding,
    progress: Progress,
    statement: Statement,
    delays: Sequence[float],
    key: str,
) -> list[float]:
    """One statement, once per delay; its durations in ms."""
    durations_ms: list[float] = []
    stop_counts: dict[str, int] = {}
    for used_s in (*delays, SPILLED) if statement.spills else delays:
        progress.step(label=statement.name)
        try:
            ms, stop = await _once(target, finding, statement, used_s, key)
        except UnexpectedResponse as refused:
            finding.notes.append(f"{statement.name}: not counted, {refused}")
            break
        if ms is not None:
            durations_ms.append(ms)
            stop_counts[stop] = stop_counts.get(stop, 0) + 1
    if durations_ms:
        note = ", ".join(f"{count} {stop}" for stop, count in stop_counts.items())
        finding.rows.append(Row(statement.name, Latency.of(durations_ms), note))
        finding.latencies_ms += durations_ms
    return durations_ms


async def _once(
    target: Target, finding: Finding, statement: Statement, used_s: float, key: str
) -> tuple[float | None, str]:
    """The duration of its cancel in ms, and what stopped it in which stage.

    None for a statement that finished before the cancel was sent: it measures nothing.
    """
    body = body_of(statement, key)
    run_id = await target.submit(statement.sql(), statement.content_type, **body)
    busy = await wait_computing(target, run_id, abs(used_s))
    if used_s == SPILLED and target.local is not None:
        await wait_for_spill(target.local, finding, statement.name)
    if busy is None and (target.local is not None or target.engine.is_remote):
        run = await target.read(run_id, "state,error")
        await target.cancel(run_id)
        error = run.get("error", {}).get("message", "")
        finding.notes.append(
            f"{statement.name}: {run['state']} before {used_s} s, not counted {error[:80]}"
        )
        return None, ""
    ms = await cancel_and_verify(target, finding, run_id, busy)
    if busy is not None:
        busy.close()
    record = (await target.read(run_id, "cancellation")).get("cancellation") or {}
    return ms, f"{record.get('engine_stop')} in {record.get('stage')}"


def _add_bars(finding: Finding, interruptible_ms: Sequence[float], bounds: Bounds) -> None:
    """Limits apply to all statements together: a single one is measured too rarely for a p99."""
    finding.bars.append(Bar("p99", percentile(finding.latencies_ms, 0.99), bounds.p99_ms))
    finding.bars.append(Bar("max", percentile(finding.latencies_ms, 1.0), bounds.max_ms))
    if interruptible_ms and bounds.interruptible_p50_ms is not None:
        name = "p50 of interruptible statements"
        finding.bars.append(
            Bar(name, percentile(interruptible_ms, 0.5), bounds.interruptible_p50_ms)
        )
    finding.notes.append(f"{len(finding.rows)} statements")


def _public_key() -> str:
    """A fresh key: the suite only needs encryption to happen and never decrypts."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = rsa.generate_private_key(65537, 2048).public_key()
    return base64.b64encode(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()
