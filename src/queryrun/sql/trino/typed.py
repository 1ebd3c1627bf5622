"""Expressions in DuckDB's SQL together with the Trino type that their value has."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.trino import types as t
from queryrun.sql.trino.types import Type


@dataclass(slots=True)
class Typed:
    """SQL that needs no brackets around it, its type, and its value where it is a literal.

    `fields`: what a row was made of, where it was made here.
    """

    sql: str
    type: Type
    constant: str | int | None = None
    fields: tuple[Typed, ...] = ()


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A quoted name."""
    return '"' + value.replace('"', '""') + '"'


def cast(value: Typed, target: Type) -> Typed:
    """The value in another type that Trino brings it to without being told."""
    if t.bare(value.type) == t.bare(target):
        return value
    if value.type.name == target.name and value.type.name in {"timestamp", t.TSTZ, "time"}:
        return Typed(value.sql, target, value.constant)  # DuckDB has microseconds throughout
    return Typed(f"CAST({value.sql} AS {t.duckdb_name(target)})", target, value.constant)


def exact(value: Typed) -> str:
    """The SQL of a value whose DuckDB type must be the Trino type's even if it is a literal.

    DuckDB fits an integer literal to what stands beside it; Trino's are integers.
    """
    if isinstance(value.constant, int) and t.is_integer(value.type):
        return f"{value.sql}::{t.duckdb_name(value.type)}"
    if value.type.name == "unknown":
        return "NULL"
    return value.sql
