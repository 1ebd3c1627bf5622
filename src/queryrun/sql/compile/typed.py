"""Expressions in an engine's SQL together with the Trino type that their value has."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.compile.types import Type


class UnsupportedCastError(Exception):
    """Trino has this cast, or says that it has none; the message tells which."""

    def __init__(self, message: str, *, is_mismatch: bool = False) -> None:
        super().__init__(message)
        self.is_mismatch = is_mismatch


@dataclass(slots=True)
class Typed:
    """SQL that needs no brackets around it, its type, and its value where it is a literal.

    `fields`: what a row was made of, where it was made here.
    """

    sql: str
    type: Type
    constant: str | int | None = None
    fields: tuple[Typed, ...] = ()
