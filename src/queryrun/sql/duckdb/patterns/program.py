"""A row pattern as a program of a small machine, which the worker runs (`row_patterns.py`).

Instructions, the first of which is tried first: `m n` matches a row with label n, `s a b` goes on
at a and, should that fail, at b; `j a` goes on at a, `^` and `$` hold at the partition's ends, `x`
begins or ends what is left out, `e` is a match.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from queryrun.sql.trino.records import patterns as ap

MAX_INSTRUCTIONS = 5_000
"""What a pattern may become: quantifiers and PERMUTE repeat what they apply to."""

Instruction = list[str | int]


class TooLargeError(ValueError):
    """The pattern has more instructions than are allowed."""


def program_of(pattern: ap.Pattern, labels: Sequence[str]) -> list[Instruction]:
    """The pattern's program. Raises `TooLargeError`."""
    written = _Writer(labels)
    written.add(pattern)
    written.code.append(["e"])
    return written.code


def parts_of(pattern: ap.Pattern) -> list[ap.Pattern]:
    """The pattern and all patterns in it."""
    found: list[ap.Pattern] = []
    pending = [pattern]
    while pending:
        one = pending.pop()
        found.append(one)
        match one:
            case ap.Sequence() | ap.Alternatives() | ap.Permutation():
                pending += reversed(one.parts)
            case ap.Excluded() | ap.Repeated():
                pending.append(one.part)
    return found


class _Writer:
    def __init__(self, labels: Sequence[str]) -> None:
        self.code: list[Instruction] = []
        self._labels = list(labels)

    def add(self, pattern: ap.Pattern) -> None:
        if len(self.code) > MAX_INSTRUCTIONS:
            raise TooLargeError
        match pattern:
            case ap.Variable():
                self.code.append(["m", self._labels.index(pattern.label)])
            case ap.Anchor():
                self.code.append([pattern.sign])
            case ap.Sequence():
                for part in pattern.parts:
                    self.add(part)
            case ap.Alternatives():
                self._alternatives(pattern.parts)
            case ap.Permutation():
                orders = [ap.Sequence(list(one), pattern.at) for one in permutations(pattern.parts)]
                self._alternatives(orders)
            case ap.Excluded():
                self.code.append(["x"])
                self.add(pattern.part)
                self.code.append(["x"])
            case ap.Repeated():
                self._repeated(pattern)

    def _alternatives(self, parts: Sequence[ap.Pattern]) -> None:
        """Each but the last begins with a split to the next, and ends with a jump behind all."""
        jumps = []
        for part in parts[:-1]:
            split = self._split()
            self.add(part)
            jumps.append(len(self.code))
            self.code.append(["j", 0])
            split[2] = len(self.code)
        self.add(parts[-1])
        for at in jumps:
            self.code[at][1] = len(self.code)

    def _split(self) -> Instruction:
        """To what follows, else to what is filled in at [2]."""
        here = len(self.code)
        self.code.append(["s", here + 1, 0])
        return self.code[here]

    def _repeated(self, node: ap.Repeated) -> None:
        if node.max_count is None:
            self._endlessly(node)
            return
        for _ in range(node.min_count):
            self.add(node.part)
        splits = []
        for _ in range(node.max_count - node.min_count):
            splits.append(self._split())
            self.add(node.part)
        for split in splits:
            self._leave(split, node)

    def _endlessly(self, node: ap.Repeated) -> None:
        """What follows a round that matched no row is what comes behind: see `_Search`."""
        enter = self._split() if node.min_count == 0 else None
        top = len(self.code)
        for _ in range(max(node.min_count, 1)):
            top = len(self.code)
            self.add(node.part)
        again = self._split()
        again[1] = top
        self._leave(again, node)
        if enter is not None:
            self._leave(enter, node)

    def _leave(self, split: Instruction, node: ap.Repeated) -> None:
        """The split's other way goes on here; a reluctant quantifier prefers it."""
        split[2] = len(self.code)
        if not node.is_greedy:
            split[1], split[2] = split[2], split[1]
