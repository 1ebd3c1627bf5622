"""A simulation of claims: nodes that receive a hint all check at once, and the lock admits one.

Discrete events, a seed, no threads: the same costs give the same figures on any machine. What it
leaves out: tenants' limits, cancels, retries, and the milliseconds that a hint is under way.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from benchmarks import table
from benchmarks.scale_model import NODES, Constants, Costs, Rows

SEED = 20261125
BUSY = 0.8
"""How full the slots are on average."""
STATEMENT_S = 5.0
WARM_S, SAMPLE_S = 15.0, 15.0
SIMULATED = (*NODES, 3_000)


@dataclass(frozen=True)
class Way:
    """How nodes come to claim."""

    name: str
    woken: int = 0
    """How many nodes a hint wakes; 0: all that receive it."""
    checks_first: bool = False
    """Whether a node checks for waiting runs before it takes the lock."""


WAYS = (
    Way("as it is: all check, under the lock"),
    Way("a hint wakes 4 nodes", woken=4),
    Way("a check before the lock", checks_first=True),
)

_ARRIVES, _ENDS, _POLLS = 0, 1, 2


@dataclass
class Node:
    """A node: its free slots, and whether it is polling."""

    free: int
    polls: bool = False
    again: bool = False
    polled_s: float = 0.0


@dataclass
class Seen:
    """The measurements of a simulation after its warm-up."""

    waits_s: list[float] = field(default_factory=list)
    claims: int = 0
    empty: int = 0
    locked_s: float = 0.0

    def row(self, nodes: int, runs_per_s: float, way: Way) -> list[str]:
        """One line of the table."""
        return [
            way.name,
            f"{nodes:,}",
            f"{runs_per_s:,.0f}",
            f"{self.claims / SAMPLE_S:,.0f}",
            f"{self.empty / max(1, self.claims):.0%}",
            f"{self.locked_s / SAMPLE_S:.0%}",
            f"{table.percentile(self.waits_s, 50) * 1_000:,.1f}",
            f"{table.percentile(self.waits_s, 99) * 1_000:,.1f}",
        ]


HEAD = [
    "way",
    "nodes",
    "runs/s",
    "claims/s",
    "that find nothing",
    "lock held",
    "wait p50 ms",
    "wait p99 ms",
]


class Claims:
    """One source, one lock, `nodes` nodes."""

    def __init__(self, nodes: int, costs: Costs, way: Way) -> None:
        self._random = random.Random(SEED)  # noqa: S311 a simulation, no secret
        self._constants = Constants()
        self._costs = costs
        self._way = way
        self.runs_per_s = BUSY * nodes * self._constants.slots / STATEMENT_S
        self._nodes = [Node(self._constants.slots) for _ in range(nodes)]
        self._ready: set[int] = set(range(nodes))
        """Nodes with a free slot that are not polling."""
        self._polling: deque[int] = deque()
        self._waiting: deque[float] = deque()
        self._events: list[tuple[float, int, int]] = []
        self._hinted_s = 0.0
        self.seen = Seen()

    def run(self) -> Seen:
        """Simulate, and return the measurements."""
        for number in range(len(self._nodes)):
            self._at(self._random.random() * self._constants.poll_s, _POLLS, number)
        self._at(self._random.expovariate(self.runs_per_s), _ARRIVES, 0)
        lock_free_s = now = 0.0
        while now < WARM_S + SAMPLE_S:
            if self._polling and lock_free_s <= self._events[0][0]:
                now = max(now, lock_free_s)
                lock_free_s = self._claim(now)
            else:
                now, kind, number = heapq.heappop(self._events)
                lock_free_s = max(lock_free_s, now if not self._polling else lock_free_s)
                self._happen(now, kind, number)
        return self.seen

    def _happen(self, now: float, kind: int, number: int) -> None:
        if kind == _ARRIVES:
            self._at(now + self._random.expovariate(self.runs_per_s), _ARRIVES, 0)
            self._waiting.append(now)
            self._hint(now)
        elif kind == _ENDS:
            self._nodes[number].free += 1
            self._poll(number)
        else:
            self._at(now + self._constants.poll_s, _POLLS, number)
            if now - self._nodes[number].polled_s >= self._constants.poll_s:
                self._poll(number)

    def _hint(self, now: float) -> None:
        """All nodes receive the hint, or a few do."""
        if not self._way.woken:
            self._hinted_s = now
            for number in tuple(self._ready):
                self._poll(number)
            return
        count = min(self._way.woken, len(self._nodes))
        for number in self._random.sample(range(len(self._nodes)), count):
            self._poll(number)

    def _poll(self, number: int) -> None:
        """The node polls: now, or again after the current poll."""
        node = self._nodes[number]
        if self._way.checks_first and not self._waiting:
            self._ready.add(number)
        elif node.polls:
            node.again = True
        elif node.free:
            node.polls = True
            self._ready.discard(number)
            self._polling.append(number)

    def _claim(self, now: float) -> float:
        """The next node takes the lock; returns the time of its release."""
        number = self._polling.popleft()
        node = self._nodes[number]
        taken = [self._waiting.popleft() for _ in range(min(node.free, len(self._waiting)))]
        held_s = self._held_ms(len(taken)) / 1_000
        node.free -= len(taken)
        for _ in taken:
            ends_s = now + held_s + self._random.expovariate(1 / STATEMENT_S)
            self._at(ends_s, _ENDS, number)
        node.polls, node.polled_s = False, now + held_s
        if node.free:
            self._ready.add(number)
        if node.again or self._hinted_s > now:
            node.again = False
            self._poll(number)
        if now > WARM_S:
            self._note(now + held_s, held_s, taken)
        return now + held_s

    def _held_ms(self, taken: int) -> float:
        if not taken:
            return self._costs.empty_claim_ms
        return self._costs.claim_ms + (taken - 1) * self._costs.claim_more_ms

    def _note(self, done_s: float, held_s: float, taken: list[float]) -> None:
        self.seen.claims += 1
        self.seen.empty += not taken
        self.seen.locked_s += held_s
        self.seen.waits_s += [done_s - arrived_s for arrived_s in taken]

    def _at(self, when_s: float, kind: int, number: int) -> None:
        heapq.heappush(self._events, (when_s, kind, number))


def rows(costs: Costs) -> Rows:
    """The program as it is, and alternatives."""
    found = []
    for way in WAYS:
        for nodes in SIMULATED:
            claims = Claims(nodes, costs, way)
            found.append(claims.run().row(nodes, claims.runs_per_s, way))
    return found
