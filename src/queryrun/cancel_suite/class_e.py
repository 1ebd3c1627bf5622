"""Class E: finish and cancel race. One winner, and everybody agrees on who it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Bar, Finding
from queryrun.cancel_suite.target import ENDED, Target

COUNT = 20_000
LANES = 4
_STEP = 0.08
"""How far the aim moves after each race, as a share: towards as many wins as losses."""
_JITTER = 0.35
_READERS = 16


@dataclass(slots=True)
class _Aim:
    """When to fire, in ms after submit, so that either side wins about half of the races."""

    at_ms: float = 10.0
    chosen: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311

    def next_ms(self) -> float:
        """The next moment, around the expected end."""
        return self.at_ms * (1 + self.chosen.uniform(-_JITTER, _JITTER))

    def learn(self, *, canceled: bool) -> None:
        """Fire later after a cancel that won, earlier after one that came too late."""
        self.at_ms *= (1 + _STEP) if canceled else 1 / (1 + _STEP)
        self.at_ms = min(max(self.at_ms, 0.2), 2000.0)


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Race on several connections; compare the answer, the read after it, and the last read."""
    finding = Finding("E", "finish and cancel at the same instant")
    count = plan.count(COUNT, least=50, share=target.engine.bounds.share)
    progress.begin(finding.title, count)
    races = _Races(target, finding, progress, iter(range(count)))
    short = target.words.short  # ends soon, so that the race can be aimed
    await asyncio.gather(*(races.lane(short[n % len(short)]) for n in range(LANES)))
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
    """run id -> the state that the answer to the cancel told."""

    async def lane(self, sql: str) -> None:
        """One race after another until the numbers are used up."""
        aim = _Aim()
        for _ in self.numbers:  # shared by all lanes
            await self._race(sql, aim)
            self.progress.step()

    async def _race(self, sql: str, aim: _Aim) -> None:
        run_id = await self.target.submit(sql)
        await asyncio.sleep(aim.next_ms() / 1000)
        answer = await self.target.cancel(run_id)
        self.finding.checks += 1
        if answer.status == 200:
            said = "canceled"
            self.finding.latencies_ms.append(answer.took_ms)
        elif answer.status == 400:
            said = answer.error_code.removeprefix("run_already_")
        else:
            self.finding.broken(f"{run_id}: cancel answered {answer.status}")
            return
        self.outcomes[run_id] = said
        await self._read_at_once(run_id, said, answer.json().get("state", said))
        aim.learn(canceled=said == "canceled")

    async def _read_at_once(self, run_id: str, said: str, shown: str) -> None:
        run = await self.target.read(run_id)
        if shown not in ENDED:  # accepted, not yet proven: may still read in_progress
            run = await self.target.ended(run_id)
        _agree(self.finding, run_id, said, run)


def _agree(finding: Finding, run_id: str, said: str, run: dict[str, object]) -> None:
    finding.expect(run["state"] == said, f"{run_id}: answered {said}, reads {run['state']}")
    has_file = "file" in run
    finding.expect(has_file == (said == "complete"), f"{run_id}: {said}, file: {has_file}")


async def _read_again(target: Target, finding: Finding, outcomes: dict[str, str]) -> None:
    """Every run once more, when all races are over."""
    left = iter(outcomes.items())

    async def reader() -> None:
        for run_id, said in left:
            _agree(finding, run_id, said, await target.read(run_id))

    await asyncio.gather(*(reader() for _ in range(_READERS)))


def _compare_files(target: Target, finding: Finding, outcomes: dict[str, str]) -> None:
    """In the store's directory lies a file exactly for each run that is complete."""
    results = target.local.results if target.local else None
    if results is None:
        finding.notes.append("the result store was not looked into: the reads' `file` had to do")
        return
    found = {path.name.lstrip(".")[:36] for path in results.iterdir()}
    for run_id, said in outcomes.items():
        is_there = run_id in found
        finding.expect(is_there == (said == "complete"), f"{run_id}: {said}, stored: {is_there}")
