"""What a validation is given and finds: records, for nodes too, which have no compiler."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamedType:
    """A column: its name and its type as Trino writes it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class TableColumns:
    """A table and its columns."""

    name: str
    columns: tuple[NamedType, ...] | None
    """None: they could not be read."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What the compiler says. An empty message: the statement compiles, to these columns."""

    message: str = ""
    line: int | None = None
    column: int | None = None
    columns: tuple[NamedType, ...] | None = None
