"""What names refer to at a point of a statement."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table as the engine has it; `is_converted`: of a type that is not Trino's."""

    name: str
    type: Type | None
    is_converted: bool = False
    engine_type: str = ""
    marks_deleted: bool = False
    """Whether rows in which it is true are hidden (contract F3)."""


Schema = Mapping[str, Sequence[TableColumn]]
"""Tables by lower-case name."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where the tables are, in the names that a statement may put in front of a table's."""

    catalog: str = "owl"
    schema: str = "data"


LOCATION = Location()
"""Where error texts of the contract's system say that tables are (contract F2)."""


@dataclass(slots=True)
class Column:
    """A column that can be named: `key` by what, `sql` how the engine is told.

    `heading` is its name as the statement has it. Both are empty for one that has no name.
    """

    key: str
    heading: str
    sql: str
    type: Type
    relation: str = ""
    """What its relation is called, in lower case; empty for one without a name."""
    location: tuple[str, ...] = ()
    """What the statement has in front of the relation's name: a schema, a catalog and a schema."""


@dataclass(slots=True)
class Output:
    """A column that a query returns. `heading` is its name, empty for one that has none."""

    heading: str
    type: Type

    def name_at(self, index: int) -> str:
        """What a result calls it there: Trino names what has no name by its position."""
        return self.heading or f"_col{index}"


@dataclass(slots=True)
class CteEntry:
    """A WITH entry: its name in the engine's SQL and what it returns."""

    sql: str
    outputs: list[Output]


@dataclass(slots=True)
class Scope:
    """The columns of a FROM clause, and what lies around it."""

    columns: list[Column] = field(default_factory=list)
    parent: Scope | None = None
    ctes: dict[str, CteEntry] = field(default_factory=dict)

    def cte(self, key: str) -> CteEntry | None:
        """The WITH entry of that name that is nearest."""
        scope: Scope | None = self
        while scope is not None:
            if key in scope.ctes:
                return scope.ctes[key]
            scope = scope.parent
        return None

    def matching(self, key: str, qualifier: Sequence[str] = ()) -> list[Column]:
        """The columns of that name, here alone."""
        return [
            column
            for column in self.columns
            if column.key == key and (not qualifier or is_of(column, qualifier))
        ]

    def outward(self) -> Iterator[Scope]:
        """This scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def known_names(self) -> list[str]:
        """Every name that a column could have been meant by."""
        return [column.key for scope in self.outward() for column in scope.columns]


def is_of(column: Column, qualifier: Sequence[str]) -> bool:
    """Whether these words name the column's relation, as far as the statement has named it."""
    path = (*column.location, column.relation)
    return bool(column.relation) and tuple(qualifier) == path[-len(qualifier) :]


def repeated(names: Iterable[ast.Ident]) -> ast.Ident | None:
    """The first name that was there before."""
    seen: set[str] = set()
    for name in names:
        if name.key in seen:
            return name
        seen.add(name.key)
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`. Did you mean 'x'?` when something known is close; otherwise nothing."""
    close = difflib.get_close_matches(name.lower(), list(dict.fromkeys(known)), n=3, cutoff=0.6)
    if not close:
        return ""
    return ". Did you mean " + " or ".join(f"'{other}'" for other in close) + "?"
