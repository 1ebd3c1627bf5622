"""Class F: the slot or the memory stays held. Cancel as many runs as there are slots, and count."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.processes import open_paths, proportional_bytes
from queryrun.cancel_suite.proof import begun, cancel_and_prove
from queryrun.cancel_suite.report import Bar, Finding, Latency, Row
from queryrun.cancel_suite.spill import see_it_spill, spill_bytes
from queryrun.cancel_suite.target import Local, Target

ROUNDS = 10
ROOM_BYTES = 24 * 1024**2
"""Resident memory may differ this much: allocators of the server and its spare workers keep some,
which is far less than one leaked worker."""
BUSY_S = 0.3
_SETTLE_S = 15.0
_CALM_S = 1.0


@dataclass(frozen=True, slots=True)
class _Stock:
    """What the server holds at a moment when nothing runs."""

    resident: int
    spill: int
    descriptors: int
    children: int
    unfinished: int

    def like(self, other: _Stock) -> bool:
        """Whether both count the same; memory always moves a little."""
        return replace(self, resident=0) == replace(other, resident=0)

    def __str__(self) -> str:
        return (
            f"{_mb(self.resident)} MB, {self.spill} bytes spilled, {self.descriptors} descriptors,"
            f" {self.children} processes below, {self.unfinished} unfinished files"
        )

    def leaks_over(self, before: _Stock) -> list[str]:
        """What is above `before` by more than the room allowed."""
        leaks = []
        if self.resident > before.resident + ROOM_BYTES:
            leaks.append(f"resident memory {_mb(before.resident)} -> {_mb(self.resident)} MB")
        for name in ("spill", "descriptors", "children", "unfinished"):
            was, now = getattr(before, name), getattr(self, name)
            if now > was:
                leaks.append(f"{name} {was} -> {now}")
        return leaks


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Rounds of: fill every slot, queue as many quick runs, cancel all the slots at once."""
    finding = Finding("F", "slot and memory come back")
    rounds = plan.count(ROUNDS, least=2, share=0.5 if target.engine.is_elsewhere else 1.0)
    progress.begin(finding.title, rounds + 2)
    before = await _baseline(target)
    progress.step()
    gaps: list[float] = []
    for number in range(rounds):
        took, late = await _round(target, finding, spilling=number == 0)
        finding.latencies_ms += took
        gaps += late
        finding.rows.append(
            Row(f"round {number + 1}", Latency.of(took), f"next {max(late):.0f} ms")
        )
        progress.step()
    await _every_slot_is_there(target, finding)
    if target.local is not None and before is not None:
        await _compare(target.local, finding, before)
    progress.step()
    finding.bars.append(_next_start(target, gaps))
    finding.bars.append(Bar("leaks", finding.violations, 0, ""))
    if before is None:
        finding.notes.append("the server is elsewhere: memory, spill and processes not looked at")
    return finding


def _next_start(target: Target, gaps: list[float]) -> Bar:
    limit_ms = target.engine.bounds.next_start_ms
    return Bar("next run starts after the slot is free", max(gaps), limit_ms)


async def _baseline(target: Target) -> _Stock | None:
    """What is held when nothing runs, after the first runs have made what stays: caches,
    connections, spare workers. It ends like the last round, so that the spares are alike."""
    unmeasured = Finding("F", "")
    for _ in range(3):
        runs = [await target.submit(target.words.quick) for _ in range(target.slots)]
        for run_id in runs:
            await target.ended(run_id)
    await _round(target, unmeasured, spilling=False)
    await _every_slot_is_there(target, unmeasured)
    return await _settled(target.local, None) if target.local else None


async def _round(
    target: Target, finding: Finding, *, spilling: bool
) -> tuple[list[float], list[float]]:
    """One round: cancel latencies, and how long each freed slot stayed empty, in ms."""
    words = target.words
    spilling = spilling and words.spilling is not None
    runs = [await target.submit(words.spilling if words.spilling and spilling else words.heavy)]
    if spilling and target.local is not None:
        await see_it_spill(target.local, finding, "before the first round's cancels")
    others = (words.stubborn, words.runaway, words.heavy, words.runaway)
    runs += [await target.submit(others[n % len(others)]) for n in range(target.slots - 1)]
    busy = await asyncio.gather(*(begun(target, run_id, BUSY_S) for run_id in runs))
    waiting = [await target.submit(target.words.quick) for _ in runs]
    took = await asyncio.gather(
        *(
            cancel_and_prove(target, finding, run_id, one)
            for run_id, one in zip(runs, busy, strict=True)
        )
    )
    for one in busy:
        if one is not None:
            one.close()
    freed = [await _time(target, run_id, "canceled_time") for run_id in runs]
    started = [await _time(target, run_id, "started_time") for run_id in waiting]
    return [ms for ms in took if ms is not None], _gaps_ms(freed, started)


async def _time(target: Target, run_id: str, name: str) -> datetime | None:
    run = await target.ended(run_id, "state,started_time,cancellation")
    text = run.get(name) or (run.get("cancellation") or {}).get(name)
    return datetime.fromisoformat(text) if text else None


def _gaps_ms(freed: list[datetime | None], started: list[datetime | None]) -> list[float]:
    """The n-th start against the n-th slot that came free."""
    free = sorted(time for time in freed if time)
    begun_at = sorted(time for time in started if time)
    pairs = zip(free, begun_at, strict=False)
    return [max(0.0, (start - end).total_seconds() * 1000) for end, start in pairs]


async def _every_slot_is_there(target: Target, finding: Finding) -> None:
    """As many runs as before compute at once, and not one more."""
    runs = [await target.submit(target.words.runaway) for _ in range(target.slots)]
    extra = await target.submit(target.words.quick)
    busy = await asyncio.gather(*(begun(target, run_id) for run_id in runs))
    states = [(await target.read(run_id))["state"] for run_id in runs]
    finding.expect(states == ["in_progress"] * len(runs), f"slots: {states}")
    waits = (await target.read(extra))["state"]
    finding.expect(waits == "accepted", f"one more than the slots: {waits}")
    await asyncio.gather(*(target.cancel(run_id) for run_id in runs))
    finding.expect((await target.ended(extra))["state"] == "complete", "the last run did not end")
    for one in busy:
        if one is not None:
            one.close()


# --- counting -------------------------------------------------------------------------------


async def _compare(local: Local, finding: Finding, before: _Stock) -> None:
    now = await _settled(local, before)
    for leak in now.leaks_over(before):
        finding.broken(leak)
    finding.notes.append(f"before the rounds: {before}; after them: {now}")


async def _settled(local: Local, before: _Stock | None) -> _Stock:
    """The stock once nothing runs, replacements are there, and no more than `before` is held.

    Gives up waiting after `_SETTLE_S`. Without `before`: once nothing changes any more.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SETTLE_S
    last = _stock(local)
    while loop.time() < deadline:
        await asyncio.sleep(_CALM_S)
        now = _stock(local)
        enough = now.like(last) if before is None else not now.leaks_over(before)
        if enough and not local.processes.named():
            return now
        last = now
    return last


def _stock(local: Local) -> _Stock:
    below = local.processes.below()
    everyone = [local.processes.pid, *below]
    return _Stock(
        resident=sum(map(proportional_bytes, everyone)),
        spill=spill_bytes(local),
        descriptors=len(open_paths(local.processes.pid)),
        children=len(below),
        unfinished=_unfinished(local),
    )


def _unfinished(local: Local) -> int:
    return len(list(local.results.glob(".*.part"))) if local.results else 0


def _mb(size_bytes: int) -> int:
    return round(size_bytes / 1024**2)
