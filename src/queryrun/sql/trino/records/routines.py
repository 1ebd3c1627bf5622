"""SQL routines as plain records: what `WITH FUNCTION` defines. `at`: where each begins."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.trino.records.ast import Expr, Ident, TypeName
from queryrun.sql.trino.records.extra import ExtraControl, ExtraRoutine


@dataclass(slots=True)
class Return(ExtraControl):
    """RETURN value."""

    value: Expr
    at: int


@dataclass(slots=True)
class Assign(ExtraControl):
    """SET target = value."""

    target: Ident
    value: Expr
    at: int


@dataclass(slots=True)
class Branches(ExtraControl):
    """IF with its ELSEIFs, or CASE. `operand`: what a CASE compares; `word` is which it is."""

    word: str
    operand: Expr | None
    whens: list[tuple[Expr, list[ExtraControl]]]
    otherwise: list[ExtraControl]
    at: int


@dataclass(slots=True)
class Jump(ExtraControl):
    """ITERATE label, LEAVE label."""

    word: str
    label: Ident
    at: int


@dataclass(slots=True)
class Declared:
    """DECLARE a, b type [DEFAULT value]."""

    names: list[Ident]
    type: TypeName
    default: Expr | None
    at: int


@dataclass(slots=True)
class Compound(ExtraControl):
    """BEGIN … END."""

    variables: list[Declared]
    body: list[ExtraControl]
    at: int


@dataclass(slots=True)
class Loop(ExtraControl):
    """LOOP, WHILE or REPEAT: `word` is which it is."""

    word: str
    label: Ident | None
    condition: Expr | None
    body: list[ExtraControl]
    at: int


@dataclass(slots=True)
class Parameter:
    """One parameter; Trino's grammar lets its name be left out."""

    name: Ident | None
    type: TypeName
    at: int


@dataclass(slots=True)
class Routine(ExtraRoutine):
    """One function of `WITH FUNCTION`. `is_deterministic`: None where it is not said."""

    name: Ident
    params: list[Parameter]
    returns: TypeName
    is_deterministic: bool | None
    is_null_on_null: bool
    body: ExtraControl
    at: int
