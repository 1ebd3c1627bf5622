"""Statements of generated expressions, for a real Trino and for us.

`python -m tests.conformance generate --count N --seed S`: each expression is one of many columns
over a small table of edge values, so one statement asks hundreds of questions. TRY makes of a
failure a NULL on both sides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.conformance.edges import TABLES, head
from tests.conformance.expressions import Expressions

_AT_ONCE = 150
_GROUPS = ("g", "g, h", "ROLLUP(g, h)", "CUBE(g, h)", "GROUPING SETS ((g), (h), ())")


@dataclass(frozen=True, slots=True)
class Generated:
    """What comes before the expressions, the expressions, and what comes after them."""

    head: str
    items: Sequence[str]
    tail: str

    def sql(self, items: Sequence[str]) -> str:
        """With some of the expressions: one a line, so an error's line names its expression."""
        return "\n, ".join([self.head, *items]) + f"\n{self.tail}"

    @staticmethod
    def item_at(line: int) -> int:
        """The number of the expression on that line of `sql`; below 0: on none."""
        return line - 2


def statements(seed: int, count: int) -> Iterator[Generated]:
    """So many that they have `count` expressions. Each has dice of its own."""
    number = 0
    while count > 0:
        dice = random.Random(f"{seed} {number}")  # noqa: S311 - reproducible, no secret
        one = _statement(Expressions(dice), dice)
        count -= len(one.items)
        number += 1
        yield one


def _statement(made: Expressions, dice: random.Random) -> Generated:
    """No expression is twice in it."""
    table = head(dice.randrange(TABLES))
    shape = dice.random()
    group = dice.choice(_GROUPS)
    keys, tail = "id", "FROM t ORDER BY id"
    if shape < 0.7:
        items = [f"TRY({made.scalar()})" for _ in range(_AT_ONCE)]
    elif shape < 0.85:
        items = [made.aggregate() for _ in range(_AT_ONCE // 3)]
        keys = "g" if group == "g" else "g, h"
        tail = f"FROM t GROUP BY {group} ORDER BY {keys}"
    elif shape < 0.95:
        items = [made.window() for _ in range(_AT_ONCE // 3)]
    else:
        items = [made.subquery() for _ in range(_AT_ONCE // 10)]
    return Generated(f"{table} SELECT {keys}", list(dict.fromkeys(items)), tail)
