"""What a FROM clause has become, and the columns of subqueries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from queryrun.sql.compile.scope import (
    Column,
    Output,
)


@dataclass(slots=True)
class Joined:
    """What a FROM clause has become: its SQL and its columns, merged ones of USING first."""

    sql: str
    columns: list[Column]
    hidden: list[Column] = field(default_factory=list)
    """The sides of a merged column: findable with a qualifier, not part of `*`."""


def columns_of(outputs: Sequence[Output], sql_alias: str, relation: str) -> list[Column]:
    """The columns of a subquery that is called `sql_alias` and has columns `c1`, `c2`, …"""
    return [
        Column(o.heading.lower(), o.heading, f"{sql_alias}.c{n}", o.type, relation)
        for n, o in enumerate(outputs, 1)
    ]


def numbered(outputs: Sequence[Output]) -> str:
    """`c1, c2, …`: what the columns of a subquery are called."""
    return ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))
