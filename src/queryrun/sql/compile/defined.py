"""A function that a statement defines for itself, with its types."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records.routines import Routine


@dataclass(frozen=True, slots=True)
class Defined:
    """One function that a statement defines."""

    node: Routine
    params: tuple[Type, ...]
    returns: Type
    seen: tuple[Defined, ...]
    """The functions that it may call: those before it."""
