"""Class E: finish and cancel race. One wins, and every read agrees on which."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Bar, Finding
from queryrun.cancel_suite.target import TERMINAL_STATES, Target

COUNT = 20_000
CONCURRENCY = 4
_STEP = 0.08
"""How far the delay moves after each race, as a share, towards as many wins as losses."""
_JITTER = 0.35
_READERS = 16


@dataclass(slots=True)
class _Delay:
    """The delay from submit to cancel, adapted so that either side wins about half of the races."""

    at_ms: float = 10.0
    chosen: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311

    def next_ms(self) -> float:
        """The next delay, around the expected end of the run."""
        return self.at_ms * (1 + self.chosen.uniform(-_JITTER, _JITTER))

    def learn(self, *, canceled: bool) -> None:
        """Cancel later after a cancel that won, earlier after one that was too late."""
        self.at_ms *= (1 + _STEP) if canceled else 1 / (1 + _STEP)
        self.at_ms = min(max(self.at_ms, 0.2), 2000.0)


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Race on several connections; compare the response, the read after it, and the last read."""
    finding = Finding("E", "finish and cancel at the same instant")
    count = plan.count(COUNT, least=50, share=target.engine.bounds.share)
    progress.begin(finding.title, count)
    races = _Races(target, finding, progress, iter(range(count)))
    short = target.statements.short  # finishes soon, so that the cancel can be timed
    await asyncio.gather(*(races.repeat(short[n % len(short)]) for n in range(CONCURRENCY)))
    await _read_again(target, finding, races.outcomes)
    _compare_files(target, finding, races.outcomes)
    won = sum(state == "canceled" for state in races.outcomes.values())
    finding.bars.append(Bar("disagreements", finding.violations, 0, ""))
    finding.notes.append(f"the cancel won {won:,} races, the statement {count - won:,}")
    return finding


@dataclass(slots=True)
class _Races:
    target: Target
    finding: Finding
    progress: Progress
    numbers: Iterator[int]
    outcomes: dict[str, str] = field(default_factory=dict)
    """run id -> the state in the response to the cancel."""

    async def repeat(self, sql: str) -> None:
        """Run one race after another until the numbers are used up."""
        delay = _Delay()
        for _ in self.numbers:  # shared by all connections
            await self._race(sql, delay)
            self.progress.step()

    async def _race(self, sql: str, delay: _Delay) -> None:
        """The response decides who won; the read right after it must agree."""
        run_id = await self.target.submit(sql)
        await asyncio.sleep(delay.next_ms() / 1000)
        response = await self.target.cancel(run_id)
        self.finding.checks += 1
        if response.status == 200:
            reported = "canceled"
            self.finding.latencies_ms.append(response.duration_ms)
        elif response.status == 400:
            reported = response.error_code.removeprefix("run_already_")
        else:
            self.finding.add_violation(f"{run_id}: cancel responded {response.status}")
            return
        self.outcomes[run_id] = reported
        await self._read_at_once(run_id, reported, response.json().get("state", reported))
        delay.learn(canceled=reported == "canceled")

    async def _read_at_once(self, run_id: str, reported: str, read_state: str) -> None:
        run = await self.target.read(run_id)
        if read_state not in TERMINAL_STATES:  # accepted, may still be in_progress
            run = await self.target.wait_finished(run_id)
        _agree(self.finding, run_id, reported, run)


def _agree(finding: Finding, run_id: str, reported: str, run: dict[str, object]) -> None:
    finding.expect(
        run["state"] == reported, f"{run_id}: responded {reported}, reads {run['state']}"
    )
    has_file = "file" in run
    finding.expect(has_file == (reported == "complete"), f"{run_id}: {reported}, file: {has_file}")


async def _read_again(target: Target, finding: Finding, outcomes: dict[str, str]) -> None:
    """Reads every run again after all races."""
    left = iter(outcomes.items())

    async def reader() -> None:
        for run_id, reported in left:
            _agree(finding, run_id, reported, await target.read(run_id))

    await asyncio.gather(*(reader() for _ in range(_READERS)))


def _compare_files(target: Target, finding: Finding, outcomes: dict[str, str]) -> None:
    """The store's directory has a file for each complete run, and no other."""
    results = target.local.results if target.local else None
    if results is None:
        finding.notes.append("the result store was not inspected, only the reads' `file`")
        return
    found = {path.name.lstrip(".")[:36] for path in results.iterdir()}
    for run_id, reported in outcomes.items():
        is_there = run_id in found
        finding.expect(
            is_there == (reported == "complete"), f"{run_id}: {reported}, stored: {is_there}"
        )
