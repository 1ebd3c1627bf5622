"""Class B: a cancel before the work has started. Nothing may start after it was recorded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.processes import name_of
from queryrun.cancel_suite.report import Finding, Latency, Row
from queryrun.cancel_suite.target import TERMINAL_STATES, Target
from queryrun.cancel_suite.verify import expect_true_refusal

COUNT = 5_000
CONCURRENCY = 4
"""Concurrent cancels; fewer than the slots, so that most runs are claimed immediately."""
DELAYS_MS = (0, 1, 2, 5, 10, 20, 50, 100)
QUICK_EVERY = 9
"""Every n-th statement is quick, so that some finish before their cancel."""
_POLL_INTERVAL_S = 0.005
_FIELDS = "id,state,cancellation,attempts"


@dataclass(slots=True)
class _Monitor:
    """Reads the process table and the remote engine's work without pause, and records which runs
    compute, and which compute after they were canceled."""

    target: Target
    canceled: set[str] = field(default_factory=set)
    """Names of runs whose cancel had the response `canceled`."""
    seen: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Read until the task is cancelled."""
        while True:
            canceled = frozenset(self.canceled)  # copied before reading: none of these may run
            now = await self._now()
            self.seen |= now
            self.late |= now & canceled
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def _now(self) -> set[str]:
        """Names of runs that compute now."""
        local = self.target.local
        local_names = set(local.processes.named()) if local is not None else set()
        return local_names | {name_of(run_id) for run_id in await self.target.engine.probe.active()}


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Submit and cancel concurrently while a monitor records what runs."""
    finding = Finding("B", "cancel at any instant after submit")
    count = plan.count(COUNT, least=40, share=target.engine.bounds.share)
    progress.begin(finding.title, count)
    monitor = _Monitor(target)
    monitoring = asyncio.create_task(monitor.run())
    cancels = _Cancels(target, finding, monitor, _delays(count), progress)
    try:
        await asyncio.gather(*(cancels.work() for _ in range(CONCURRENCY)))
    finally:
        monitoring.cancel()
        await asyncio.gather(monitoring, return_exceptions=True)
    await _read_again(target, finding, monitor, cancels.canceled)
    finding.rows = [Row(f"{ms} ms", Latency.of(cancels.by_delay[ms])) for ms in DELAYS_MS]
    finding.notes.append(
        f"{len(cancels.canceled):,} canceled ({cancels.never_started:,} of them never started), "
        f"{cancels.finished_first:,} had finished before and said so"
    )
    return finding


def _delays(count: int) -> Iterator[tuple[int, float, bool]]:
    """(row, delay in ms, whether quick): the named delays in turn, then values around them."""
    chosen = random.Random(42)  # noqa: S311 - not for secrets
    delays = cycle(DELAYS_MS)
    for number in range(count):
        row = next(delays)
        spread = number // len(DELAYS_MS) % 2
        delay_ms = chosen.uniform(0.5 * row, 1.5 * row) if spread else float(row)
        yield row, min(delay_ms, 100.0), number % QUICK_EVERY == QUICK_EVERY - 1


@dataclass(slots=True)
class _Cancels:
    """Submits and cancels runs, and counts the results."""

    target: Target
    finding: Finding
    monitor: _Monitor
    delays: Iterator[tuple[int, float, bool]]
    progress: Progress
    canceled: dict[str, str] = field(default_factory=dict)
    """run id -> the reported `engine_stop`."""
    by_delay: dict[int, list[float]] = field(default_factory=lambda: {ms: [] for ms in DELAYS_MS})
    finished_first: int = 0
    never_started: int = 0

    async def work(self) -> None:
        """Cancel one run after another until the delays are used up."""
        statements = self.target.statements
        for row, delay_ms, is_quick in self.delays:
            await self._one(row, delay_ms, statements.quick if is_quick else statements.runaway)
            self.progress.step()

    async def _one(self, row: int, delay_ms: float, sql: str) -> None:
        """A refused cancel is correct if the run had finished and the response names that state."""
        run_id = await self.target.submit(sql)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        response = await self.target.cancel(run_id, fields=_FIELDS)
        self.finding.checks += 1
        if response.status == 400:
            self.finished_first += 1
            await expect_true_refusal(self.target, self.finding, run_id, response)
        elif response.status == 200:
            await self._accepted(run_id, row, response.duration_ms, response.json())
        else:
            self.finding.add_violation(f"{run_id}: cancel responded {response.status}")

    async def _accepted(
        self, run_id: str, row: int, duration_ms: float, run: dict[str, object]
    ) -> None:
        """The duration is that of the response, even if `canceled` came later."""
        if run["state"] not in TERMINAL_STATES:
            run = await self.target.wait_finished(run_id, _FIELDS)
        self.finding.expect(run["state"] == "canceled", f"{run_id}: finished {run['state']}")
        self.monitor.canceled.add(name_of(run_id))
        self.finding.latencies_ms.append(duration_ms)
        self.by_delay[row].append(duration_ms)
        self._keep_record(run_id, run)

    def _keep_record(self, run_id: str, run: dict[str, object]) -> None:
        """A canceled run has at most one attempt: a second would be later than the cancel."""
        record = run.get("cancellation")
        stop = str(record.get("engine_stop")) if isinstance(record, dict) else "no record"
        self.canceled[run_id] = stop
        self.never_started += stop == "never_started"
        attempts = run.get("attempts")
        attempt_count = len(attempts) if isinstance(attempts, list) else 0
        self.finding.expect(attempt_count <= 1, f"{run_id}: {attempt_count} attempts")


async def _read_again(
    target: Target, finding: Finding, monitor: _Monitor, canceled: dict[str, str]
) -> None:
    """Read every run again at the end: still canceled, without a file, and never started since."""
    for run_id, stop in canceled.items():
        run = await target.read(run_id)
        finding.expect(run["state"] == "canceled", f"{run_id}: canceled, now {run['state']}")
        finding.expect("file" not in run, f"{run_id}: canceled, but it has a file")
        name = name_of(run_id)
        finding.expect(name not in monitor.late, f"{run_id}: ran after it was canceled")
        unseen = stop != "never_started" or name not in monitor.seen
        finding.expect(unseen, f"{run_id}: ran, but was reported as never started")
