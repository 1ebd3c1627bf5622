"""Row pattern recognition as plain records. `at`: the character where each begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from queryrun.sql.trino.records.ast import Call, Expr, Ident, Relation, SortItem
from queryrun.sql.trino.records.extra import ExtraExpr, ExtraRelation


@dataclass(slots=True)
class Variable:
    """One row with this label."""

    label: str
    at: int


@dataclass(slots=True)
class Anchor:
    """`^` or `$`: the partition's first or last row."""

    sign: str
    at: int


@dataclass(slots=True)
class Sequence:
    """One pattern after the other; none of them is the empty pattern."""

    parts: list[Pattern]
    at: int


@dataclass(slots=True)
class Alternatives:
    """The first of the patterns that leads to a match."""

    parts: list[Pattern]
    at: int


@dataclass(slots=True)
class Permutation:
    """`PERMUTE(a, b)`: in any order."""

    parts: list[Pattern]
    at: int


@dataclass(slots=True)
class Excluded:
    """`{- pattern -}`: matched, but no part of what ALL ROWS PER MATCH returns."""

    part: Pattern
    at: int


@dataclass(slots=True)
class Repeated:
    """A quantifier; `max_count` is None for as often as can be."""

    part: Pattern
    min_count: int
    max_count: int | None
    is_greedy: bool
    at: int


Pattern: TypeAlias = Variable | Anchor | Sequence | Alternatives | Permutation | Excluded | Repeated


@dataclass(slots=True)
class Skip:
    """AFTER MATCH SKIP; `where`: past, next, first or last (of `label`)."""

    where: str
    label: str
    at: int


@dataclass(slots=True)
class Subset:
    """SUBSET label = (a, b)."""

    label: str
    members: list[str]
    at: int


@dataclass(slots=True)
class Definition:
    """DEFINE label AS condition."""

    label: str
    condition: Expr
    at: int


@dataclass(slots=True)
class MeasureItem:
    """expression AS name."""

    expr: Expr
    name: Ident


@dataclass(slots=True)
class Matched(ExtraRelation):
    """relation MATCH_RECOGNIZE (…). `rows`: one, all, omit (empty matches) or unmatched (too)."""

    relation: Relation
    partition: list[Expr]
    order: list[SortItem]
    measures: list[MeasureItem]
    rows: str
    skip: Skip
    pattern: Pattern
    subsets: list[Subset]
    definitions: list[Definition]
    at: int


@dataclass(slots=True)
class Mode(ExtraExpr):
    """RUNNING f(…), FINAL f(…)."""

    word: str
    call: Call
    at: int


@dataclass(slots=True)
class LabelRows(ExtraExpr):
    """`label.*`, as count takes it."""

    label: str
    at: int
