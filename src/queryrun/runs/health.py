"""Whether the parts of a node work, found out by using them: what `/readyz` reports.

Each part has a probe, which does what a run or a request needs of it (it writes, it starts a
process). The watch probes them periodically and on request, logs each change once, and keeps a
gauge. Parts that runs need before they can start are also asked by the dispatcher.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge

from queryrun.causes import Cause, cause_of, words_of
from queryrun.errors import QueryrunError
from queryrun.runs.loop import BackgroundLoops

log = structlog.get_logger()

OK = "ok"
"""The state of a part that works."""
INTERVAL_S = 10.0
"""Between probes while all is well. A probe of the store costs one fsync."""
RECHECK_INTERVAL_S = 1.0
"""While something is in problem: bounds how long runs wait once it has passed."""
FRESH_S = 1.0
"""A state of this age is reported without another probe: anybody may ask for `/readyz`."""
TIMEOUT_S = 2.5
"""A probe that takes longer counts as failed. It is not repeated until it has ended."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a part cannot be used: the gauge's label, and a sentence for the operator."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the node. `probe` returns when the part works, and raises otherwise."""

    name: str
    probe: Callable[[], Awaitable[None]]
    is_needed_by_runs: bool = False
    """Whether no run can start, or none can finish, without it."""


class NodeHealth:
    """The states of a node's parts. Used from the event loop."""

    def __init__(self, parts: Sequence[Part], registry: CollectorRegistry) -> None:
        self._parts = {part.name: part for part in parts}
        self._problems: dict[str, Problem] = {}
        self._past: dict[str, tuple[Problem, float]] = {}
        """The last problem of each part that has passed, and when it passed."""
        self._checked_s: dict[str, float] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._loops = BackgroundLoops()
        self._wake = asyncio.Event()
        self._on_recovery: Callable[[], None] = lambda: None
        self._available = Gauge(
            "queryrun_part_available",
            "1 while this part of the node works, else 0: alert on 0",
            ["part"],
            registry=registry,
        )
        self._problem = Gauge(
            "queryrun_part_problem",
            "1 for the cause for which a part does not work; absent while it works",
            ["part", "cause"],
            registry=registry,
        )
        self._duration_s = Gauge(
            "queryrun_part_probe_seconds",
            "How long the last probe of this part took; of the store: a write and its fsync",
            ["part"],
            registry=registry,
        )
        for name in self._parts:
            self._available.labels(name).set(1)

    def start(self) -> None:
        """Begin to probe, now and then periodically."""
        self._loops.start("health", self._probe_forever())

    async def close(self) -> None:
        """Stop probing. A probe that hangs in a thread is left to it."""
        await self._loops.close()
        for probe in self._probes.values():
            probe.cancel()

    def on_recovery(self, call: Callable[[], None]) -> None:
        """Call this when a part that runs need works again."""
        self._on_recovery = call

    def blocking(self) -> str | None:
        """Why no run can start on this node: `results: the disk is full`. None when they can."""
        for name, problem in self._problems.items():
            if self._parts[name].is_needed_by_runs:
                return f"{name}: {problem.reason}"
        return None

    def knows(self, name: str) -> bool:
        """Whether this node has such a part."""
        return name in self._parts

    async def states(self) -> dict[str, str]:
        """Each part's state, `FRESH_S` old at most: `ok`, or why it does not work."""
        await asyncio.gather(*(self.check(name, FRESH_S) for name in self._parts))
        return {name: self._state(name) for name in self._parts}

    async def check(self, name: str, max_age_s: float = 0.0) -> str | None:
        """Probe the part, unless that was done `max_age_s` ago; why it does not work, or None."""
        age_s = time.monotonic() - self._checked_s.get(name, -max_age_s - 1)
        if age_s > max_age_s:
            await self._probe(self._parts[name])
        problem = self._problems.get(name)
        return None if problem is None else problem.reason

    def passed_problem(self, name: str, since_s: float) -> Problem | None:
        """The last problem of a part that works again, if it passed since then (monotonic)."""
        problem, passed_s = self._past.get(name, (None, 0.0))
        return problem if passed_s >= since_s else None

    def _state(self, name: str) -> str:
        problem = self._problems.get(name)
        return OK if problem is None else problem.reason

    async def _probe_forever(self) -> None:
        while True:
            await asyncio.gather(*(self._probe(part) for part in self._parts.values()))
            await asyncio.sleep(RECHECK_INTERVAL_S if self._problems else INTERVAL_S)

    async def _probe(self, part: Part) -> None:
        """Join the probe of the part that runs, or begin one. Bounded: a disk may hang for good."""
        probe = self._probes.get(part.name)
        if probe is None:
            probe = asyncio.ensure_future(self._timed(part))
            self._probes[part.name] = probe
            probe.add_done_callback(lambda done: self._note(part.name, done))
        await asyncio.wait({probe}, timeout=TIMEOUT_S)
        if not probe.done():
            self._set(part.name, Problem(Cause.TIMEOUT, Cause.TIMEOUT.sentence))

    async def _timed(self, part: Part) -> None:
        started_s = time.monotonic()
        try:
            await part.probe()
        finally:
            self._duration_s.labels(part.name).set(time.monotonic() - started_s)

    def _note(self, name: str, probe: asyncio.Future[None]) -> None:
        self._probes.pop(name, None)
        if not probe.cancelled():
            error = probe.exception()
            self._set(name, None if error is None else problem_of(error))

    def _set(self, name: str, problem: Problem | None) -> None:
        """Keep the state. Log it, and change the gauges, only when it has changed."""
        self._checked_s[name] = time.monotonic()
        before = self._problems.get(name)
        if problem == before:
            return
        if before is not None:
            self._problem.remove(name, before.cause)
        self._available.labels(name).set(int(problem is None))
        if problem is not None:
            self._problems[name] = problem
            self._problem.labels(name, problem.cause).set(1)
            log.error("part_unavailable", part=name, cause=problem.cause, reason=problem.reason)
            return
        self._past[name] = (self._problems.pop(name), time.monotonic())
        log.warning("part_available", part=name)
        if self._parts[name].is_needed_by_runs:
            self._on_recovery()


def problem_of(error: BaseException) -> Problem:
    """What an error of a probe means to an operator. Only errors of ours have a text to show."""
    cause = cause_of(error) or Cause.OTHER
    if cause is Cause.OTHER:
        log.error("probe_error", error=type(error).__name__)
    is_plain = not isinstance(error, QueryrunError) or str(error) == _NO_DETAIL
    return Problem(cause, words_of(error) if is_plain else str(error))


_NO_DETAIL = "the store cannot be used at the moment"
"""What callers read of a store in problem. Operators read the cause instead."""
