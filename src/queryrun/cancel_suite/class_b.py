"""Class B: cancel before the handle exists. Nothing may start after a cancel was recorded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.processes import name_of
from queryrun.cancel_suite.proof import expect_truthful
from queryrun.cancel_suite.report import Finding, Latency, Row
from queryrun.cancel_suite.target import ENDED, Target

COUNT = 5_000
LANES = 4
"""Cancels under way at once; fewer than the slots, so that most runs are claimed at once."""
MOMENTS_MS = (0, 1, 2, 5, 10, 20, 50, 100)
ONE_IN = 9
"""So many are quick: some of them end before their cancel comes."""
_WATCH_EVERY_S = 0.005
_FIELDS = "id,state,cancellation,attempts"


@dataclass(slots=True)
class _Watch:
    """Looks at the process table, and into an engine elsewhere, without pause: who runs what, and
    whether it may."""

    target: Target
    canceled: set[str] = field(default_factory=set)
    """Names of runs whose cancel has been answered `canceled`."""
    seen: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)

    async def keep_looking(self) -> None:
        """Until cancelled."""
        while True:
            canceled = frozenset(self.canceled)  # before the look: these must not be there
            now = await self._now()
            self.seen |= now
            self.late |= now & canceled
            await asyncio.sleep(_WATCH_EVERY_S)

    async def _now(self) -> set[str]:
        """Names of runs that something computes for at this moment."""
        local = self.target.local
        here = set(local.processes.named()) if local is not None else set()
        return here | {name_of(run_id) for run_id in await self.target.engine.eyes.active()}


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Submit and cancel on several lanes while a watch looks for what should not run."""
    finding = Finding("B", "cancel at any instant after submit")
    count = plan.count(COUNT, least=40, share=target.engine.bounds.share)
    progress.begin(finding.title, count)
    watch = _Watch(target)
    looking = asyncio.create_task(watch.keep_looking())
    lanes = _Lanes(target, finding, watch, _moments(count), progress)
    try:
        await asyncio.gather(*(lanes.work() for _ in range(LANES)))
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    await _read_again(target, finding, watch, lanes.canceled)
    finding.rows = [Row(f"{ms} ms", Latency.of(lanes.by_moment[ms])) for ms in MOMENTS_MS]
    finding.notes.append(
        f"{len(lanes.canceled):,} canceled ({lanes.never_started:,} of them never started), "
        f"{lanes.ended_first:,} had ended first and said so"
    )
    return finding


def _moments(count: int) -> Iterator[tuple[int, float, bool]]:
    """(row, delay in ms, whether quick): the named moments in turn, then spread around them."""
    chosen = random.Random(42)  # noqa: S311 - not for secrets
    moments = cycle(MOMENTS_MS)
    for number in range(count):
        row = next(moments)
        spread = number // len(MOMENTS_MS) % 2
        delay_ms = chosen.uniform(0.5 * row, 1.5 * row) if spread else float(row)
        yield row, min(delay_ms, 100.0), number % ONE_IN == ONE_IN - 1


@dataclass(slots=True)
class _Lanes:
    target: Target
    finding: Finding
    watch: _Watch
    moments: Iterator[tuple[int, float, bool]]
    progress: Progress
    canceled: dict[str, str] = field(default_factory=dict)
    """run id -> how its engine was said to have stopped."""
    by_moment: dict[int, list[float]] = field(default_factory=lambda: {ms: [] for ms in MOMENTS_MS})
    ended_first: int = 0
    never_started: int = 0

    async def work(self) -> None:
        """One lane: one run after another until the moments are used up."""
        words = self.target.words
        for row, delay_ms, is_quick in self.moments:
            await self._one(row, delay_ms, words.quick if is_quick else words.runaway)
            self.progress.step()

    async def _one(self, row: int, delay_ms: float, sql: str) -> None:
        run_id = await self.target.submit(sql)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        answer = await self.target.cancel(run_id, fields=_FIELDS)
        self.finding.checks += 1
        if answer.status == 400:
            self.ended_first += 1
            await expect_truthful(self.target, self.finding, run_id, answer)
        elif answer.status == 200:
            await self._accepted(run_id, row, answer.took_ms, answer.json())
        else:
            self.finding.broken(f"{run_id}: cancel answered {answer.status}")

    async def _accepted(
        self, run_id: str, row: int, took_ms: float, run: dict[str, object]
    ) -> None:
        if run["state"] not in ENDED:
            run = await self.target.ended(run_id, _FIELDS)
        self.finding.expect(run["state"] == "canceled", f"{run_id}: ended {run['state']}")
        self.watch.canceled.add(name_of(run_id))
        self.finding.latencies_ms.append(took_ms)
        self.by_moment[row].append(took_ms)
        self._keep_record(run_id, run)

    def _keep_record(self, run_id: str, run: dict[str, object]) -> None:
        record = run.get("cancellation")
        stop = str(record.get("engine_stop")) if isinstance(record, dict) else "no record"
        self.canceled[run_id] = stop
        self.never_started += stop == "never_started"
        attempts = run.get("attempts")
        tries = len(attempts) if isinstance(attempts, list) else 0
        self.finding.expect(tries <= 1, f"{run_id}: {tries} attempts")


async def _read_again(
    target: Target, finding: Finding, watch: _Watch, canceled: dict[str, str]
) -> None:
    """Long afterwards everything still is as it was said, and nothing has come to life."""
    for run_id, stop in canceled.items():
        run = await target.read(run_id)
        finding.expect(run["state"] == "canceled", f"{run_id}: canceled, now {run['state']}")
        finding.expect("file" not in run, f"{run_id}: canceled, but it has a file")
        name = name_of(run_id)
        finding.expect(name not in watch.late, f"{run_id}: ran after it was canceled")
        unseen = stop != "never_started" or name not in watch.seen
        finding.expect(unseen, f"{run_id}: ran, but is said never to have started")
