"""Conditions of row patterns that are decided here: trees of numbers.

`sql/duckdb/patterns/direct.py` says what is in them. What a search has matched so far grows and
shrinks by one row at a time, and so do the sums and counts of it that conditions look at.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from queryrun.engines.duckdb.functions.registry import InputError

_BITS = {"integer": 31, "bigint": 63}
_NAMES = {"+": "addition", "-": "subtraction", "*": "multiplication"}
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "=": operator.eq,
    "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

Number = int | float | None
Labels = tuple[int, ...] | None
"""A set of labels; None: all."""


@dataclass(slots=True)
class Match:
    """The labels of the rows from `start` on; `left_out` has pairs of positions."""

    start: int
    labels: list[int]
    left_out: list[int]


class Positions:
    """Where in a match each set of labels is. `current` counts from the match's first row."""

    def __init__(self, match: Match, count: int) -> None:
        self.match = match
        self._count = count
        self._known: dict[Labels, list[int]] = {}

    def of(self, labels: list[int] | None) -> list[int]:
        """Where these labels are, in order."""
        key = None if labels is None else tuple(labels)
        if key not in self._known:
            chosen = self.match.labels
            self._known[key] = [n for n, k in enumerate(chosen) if labels is None or k in labels]
        return self._known[key]

    def rows(self, spec: dict[str, Any], current: int) -> list[tuple[int, int]]:
        """The rows that an aggregate is of, with their labels."""
        positions = self.of(spec["labels"])
        if spec["running"]:
            positions = positions[: bisect_right(positions, current)]
        return [(n, self.match.labels[n]) for n in positions]

    def row(self, spec: dict[str, Any], current: int) -> int | None:
        """The row that a navigation leads to, in its partition."""
        positions = self.of(spec["labels"])
        if spec["last"]:
            end = bisect_right(positions, current) if spec["running"] else len(positions)
            index = end - 1 - spec["logical"]
        else:
            index = spec["logical"]
        if not 0 <= index < len(positions):
            return None
        target = self.match.start + positions[index] + spec["physical"]
        return target if 0 <= target < self._count else None

    def label(self, spec: dict[str, Any], current: int) -> int | None:
        """The label of that row, where it is one of the match."""
        row = self.row(spec, current)
        index = -1 if row is None else row - self.match.start
        return self.match.labels[index] if 0 <= index < len(self.match.labels) else None


class Path(Positions):
    """The same of a match that is still searched, kept as labels come and go."""

    def __init__(self, start: int, count: int) -> None:
        super().__init__(Match(start, [], []), count)
        self._totals: dict[tuple[Any, ...], _Total] = {}

    def append(self, label: int) -> None:
        """The next row has this label."""
        number = len(self.match.labels)
        self.match.labels.append(label)
        for labels, positions in self._known.items():
            if labels is None or label in labels:
                positions.append(number)

    def cut(self, size: int) -> None:
        """No more than so many rows have been matched after all."""
        del self.match.labels[size:]
        for positions in self._known.values():
            while positions and positions[-1] >= size:
                positions.pop()
        for total in self._totals.values():
            total.cut(size)

    def total(self, slot: dict[str, Any], values: Sequence[Number] | None) -> Number:
        """An aggregate of the rows matched so far."""
        labels = None if slot["labels"] is None else tuple(slot["labels"])
        key = (slot["function"], slot["text"], labels)
        if key not in self._totals:
            self._totals[key] = _Total(slot["function"])
        return self._totals[key].of(self.of(slot["labels"]), self.match.start, values)


@dataclass(slots=True)
class _Total:
    """One aggregate. `states[n]`: of the first n rows, whose positions are `seen[:n]`."""

    function: str
    states: list[tuple[int, Number]] = field(default_factory=lambda: [(0, None)])
    seen: list[int] = field(default_factory=list)

    def cut(self, size: int) -> None:
        """No more than so many rows have been matched after all."""
        while self.seen and self.seen[-1] >= size:
            self.seen.pop()
            self.states.pop()

    def of(self, positions: list[int], start: int, values: Sequence[Number] | None) -> Number:
        """After these positions, which begin with those that were seen and not cut."""
        for position in positions[len(self.seen) :]:
            value = 1 if values is None else values[start + position]
            self.states.append(self._after(self.states[-1], value))
            self.seen.append(position)
        return self._result(*self.states[-1])

    def _after(self, state: tuple[int, Number], value: Number) -> tuple[int, Number]:
        count, total = state
        if value is None:
            return state
        if self.function == "avg":
            value = float(value)
        if self.function == "count" or total is None:
            return count + 1, value
        if self.function in {"min", "max"}:
            return count + 1, _extreme(self.function, total, value)
        return count + 1, _in_range("+", "bigint", total, value)

    def _result(self, count: int, total: Number) -> Number:
        if self.function == "count":
            return count
        return total / count if self.function == "avg" and total is not None else total


def _extreme(function: str, one: int | float, other: int | float) -> int | float:
    """NaN only where there is nothing else."""
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return min(one, other) if function == "min" else max(one, other)


def _in_range(sign: str, kind: str, one: int | float, other: int | float) -> int | float:
    found: int | float = _OPERATORS[sign](one, other)
    if isinstance(found, int) and not -(2 ** _BITS[kind]) <= found < 2 ** _BITS[kind]:
        raise InputError(f"{kind} {_NAMES[sign]} overflow: {one} {sign} {other}")
    return found


def decided(tree: list[Any], values: Sequence[Number]) -> bool | Number:
    """The value of a tree; None is unknown. `values`: those of its slots."""
    word, *rest = tree
    if word in {"slot", "value"}:
        number: Number = values[rest[0]] if word == "slot" else rest[0]
        return number
    if word in {"and", "or"}:
        return _chained(word, rest, values)
    if len(rest) == 1:
        found = decided(rest[0], values)
        return None if found is None else not found if word == "not" else float(found)
    one, other = (decided(part, values) for part in rest[-2:])
    if one is None or other is None:
        return None
    if len(rest) == 3:
        return _in_range(word, rest[0], one, other)
    return bool(_OPERATORS[word](one, other))


def _chained(word: str, terms: Sequence[list[Any]], values: Sequence[Number]) -> bool | None:
    decisive = word == "or"
    found: bool | None = not decisive
    for term in terms:
        value = decided(term, values)
        if value is not None and bool(value) is decisive:
            return decisive
        if value is None:
            found = None
    return found
