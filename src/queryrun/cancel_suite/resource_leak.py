"""Class F: a slot or memory stays in use. Cancel runs in every slot, and measure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.processes import open_paths, proportional_bytes
from queryrun.cancel_suite.report import Bar, Finding, Latency, Row
from queryrun.cancel_suite.spill import spill_bytes, wait_for_spill
from queryrun.cancel_suite.target import Local, Target
from queryrun.cancel_suite.verify import cancel_and_verify, wait_computing

ROUNDS = 10
TOLERANCE_BYTES = 24 * 1024**2
"""Resident memory may differ this much: allocators of the server and its idle workers keep some,
which is far less than one leaked worker."""
BUSY_S = 0.3
_SETTLE_TIMEOUT_S = 15.0
_SETTLE_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class _Resources:
    """The resources that the server holds while nothing runs."""

    resident: int
    spill: int
    descriptors: int
    children: int
    unfinished: int

    def same_counts(self, other: _Resources) -> bool:
        """Whether all but memory, which always varies a little, is equal."""
        return replace(self, resident=0) == replace(other, resident=0)

    def __str__(self) -> str:
        return (
            f"{_mb(self.resident)} MB, {self.spill} bytes spilled, {self.descriptors} descriptors,"
            f" {self.children} child processes, {self.unfinished} unfinished files"
        )

    def leaks_over(self, before: _Resources) -> list[str]:
        """The resources that exceed `before` by more than the tolerance."""
        leaks = []
        if self.resident > before.resident + TOLERANCE_BYTES:
            leaks.append(f"resident memory {_mb(before.resident)} -> {_mb(self.resident)} MB")
        for name in ("spill", "descriptors", "children", "unfinished"):
            was, now = getattr(before, name), getattr(self, name)
            if now > was:
                leaks.append(f"{name} {was} -> {now}")
        return leaks


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Rounds of: fill every slot, queue as many quick runs, cancel all the slots at once."""
    finding = Finding("F", "slots and memory are released")
    rounds = plan.count(ROUNDS, least=2, share=0.5 if target.engine.is_remote else 1.0)
    progress.begin(finding.title, rounds + 2)
    before = await _baseline(target)
    progress.step()
    gaps: list[float] = []
    for number in range(rounds):
        durations_ms, late = await _round(target, finding, spilling=number == 0)
        finding.latencies_ms += durations_ms
        gaps += late
        finding.rows.append(
            Row(f"round {number + 1}", Latency.of(durations_ms), f"next {max(late):.0f} ms")
        )
        progress.step()
    await _expect_every_slot(target, finding)
    if target.local is not None and before is not None:
        await _compare(target.local, finding, before)
    progress.step()
    finding.bars.append(_next_start(target, gaps))
    finding.bars.append(Bar("leaks", finding.violations, 0, ""))
    if before is None:
        finding.notes.append("server on another machine: memory, spill, processes not inspected")
    return finding


def _next_start(target: Target, gaps: list[float]) -> Bar:
    limit_ms = target.engine.bounds.next_start_ms
    return Bar("next run starts after the slot is free", max(gaps), limit_ms)


async def _baseline(target: Target) -> _Resources | None:
    """Resources while nothing runs, after the first runs have filled caches, connections and idle
    workers. It finishes like the last round, so that the idle workers are comparable."""
    unmeasured = Finding("F", "")
    for _ in range(3):
        runs = [await target.submit(target.statements.quick) for _ in range(target.slots)]
        for run_id in runs:
            await target.wait_finished(run_id)
    await _round(target, unmeasured, spilling=False)
    await _expect_every_slot(target, unmeasured)
    return await _measure_settled(target.local, None) if target.local else None


async def _round(
    target: Target, finding: Finding, *, spilling: bool
) -> tuple[list[float], list[float]]:
    """One round: the cancels' durations, and how long each freed slot stayed empty, in ms."""
    statements = target.statements
    spilling = spilling and statements.spilling is not None
    first = statements.spilling if statements.spilling and spilling else statements.heavy
    runs = [await target.submit(first)]
    if spilling and target.local is not None:
        await wait_for_spill(target.local, finding, "before the first round's cancels")
    others = (statements.stubborn, statements.runaway, statements.heavy, statements.runaway)
    runs += [await target.submit(others[n % len(others)]) for n in range(target.slots - 1)]
    busy = await asyncio.gather(*(wait_computing(target, run_id, BUSY_S) for run_id in runs))
    waiting = [await target.submit(target.statements.quick) for _ in runs]
    durations_ms = await asyncio.gather(
        *(
            cancel_and_verify(target, finding, run_id, one)
            for run_id, one in zip(runs, busy, strict=True)
        )
    )
    for one in busy:
        if one is not None:
            one.close()
    freed = [await _time(target, run_id, "canceled_time") for run_id in runs]
    started = [await _time(target, run_id, "started_time") for run_id in waiting]
    return [ms for ms in durations_ms if ms is not None], _gaps_ms(freed, started)


async def _time(target: Target, run_id: str, name: str) -> datetime | None:
    run = await target.wait_finished(run_id, "state,started_time,cancellation")
    text = run.get(name) or (run.get("cancellation") or {}).get(name)
    return datetime.fromisoformat(text) if text else None


def _gaps_ms(freed: list[datetime | None], started: list[datetime | None]) -> list[float]:
    """The n-th start minus the n-th time that a slot was freed."""
    free = sorted(time for time in freed if time)
    starts = sorted(time for time in started if time)
    pairs = zip(free, starts, strict=False)
    return [max(0.0, (start - end).total_seconds() * 1000) for end, start in pairs]


async def _expect_every_slot(target: Target, finding: Finding) -> None:
    """Exactly as many runs as there are slots compute at once."""
    runs = [await target.submit(target.statements.runaway) for _ in range(target.slots)]
    extra = await target.submit(target.statements.quick)
    busy = await asyncio.gather(*(wait_computing(target, run_id) for run_id in runs))
    states = [(await target.read(run_id))["state"] for run_id in runs]
    finding.expect(states == ["in_progress"] * len(runs), f"slots: {states}")
    extra_state = (await target.read(extra))["state"]
    finding.expect(extra_state == "accepted", f"one more than the slots: {extra_state}")
    await asyncio.gather(*(target.cancel(run_id) for run_id in runs))
    state = (await target.wait_finished(extra))["state"]
    finding.expect(state == "complete", "the last run did not finish")
    for one in busy:
        if one is not None:
            one.close()


# --- counting -------------------------------------------------------------------------------


async def _compare(local: Local, finding: Finding, before: _Resources) -> None:
    now = await _measure_settled(local, before)
    for leak in now.leaks_over(before):
        finding.add_violation(leak)
    finding.notes.append(f"before the rounds: {before}; after them: {now}")


async def _measure_settled(local: Local, before: _Resources | None) -> _Resources:
    """The resources once nothing runs and no more than `before` is held.

    Returns after `_SETTLE_TIMEOUT_S` in any case. Without `before`: once nothing changes.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SETTLE_TIMEOUT_S
    last = _measure(local)
    while loop.time() < deadline:
        await asyncio.sleep(_SETTLE_INTERVAL_S)
        now = _measure(local)
        enough = now.same_counts(last) if before is None else not now.leaks_over(before)
        if enough and not local.processes.named():
            return now
        last = now
    return last


def _measure(local: Local) -> _Resources:
    """Counts the server and its children, because memory may leak into either."""
    below = local.processes.below()
    processes = [local.processes.pid, *below]
    return _Resources(
        resident=sum(map(proportional_bytes, processes)),
        spill=spill_bytes(local),
        descriptors=len(open_paths(local.processes.pid)),
        children=len(below),
        unfinished=_unfinished(local),
    )


def _unfinished(local: Local) -> int:
    return len(list(local.results.glob(".*.part"))) if local.results else 0


def _mb(size_bytes: int) -> int:
    return round(size_bytes / 1024**2)
