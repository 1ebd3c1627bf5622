"""What all casts use: how one behaves, and texts that are read only as Trino reads them."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import PATTERNS, CastSite
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import types
from queryrun.sql.trino.spelling import text

FAR_YEAR = r"\s*([+-]?0*[1-9][0-9]{4,5}|-[0-9]{1,6})-[0-9]{1,2}-[0-9].*"
FAR = "A date before the year 1 or after 9999"


def plain(sql: str, target: Type, site: CastSite) -> Typed:
    """DuckDB's own cast."""
    word = "TRY_CAST" if site.is_safe else "CAST"
    if target.name == "decimal" and target.params[0] == target.params[1] < 38:
        exact = f"{word}({sql} AS DECIMAL({target.params[0]},{target.params[1]}))"
        return Typed(f"CAST({exact} AS {types.duckdb_name(target)})", target)
    return Typed(f"{word}({sql} AS {types.duckdb_name(target)})", target)


def checked(value: Typed, target: Type, pattern: str, site: CastSite) -> Typed:
    """DuckDB reads more spellings than Trino: '1.5' as an integer, '2020/01/01' as a date."""
    if isinstance(value.constant, str) and re.fullmatch(PATTERNS[pattern], value.constant):
        return plain(value.sql, target, site)
    inner = plain(value.sql, target, site).sql
    sql = (
        f"CASE WHEN regexp_full_match({value.sql}, {text(PATTERNS[pattern])}) THEN {inner} "
        f"{otherwise(value.sql, target, site)} END"
    )
    return Typed(f"({sql})", target)


def otherwise(sql: str, target: Type, site: CastSite) -> str:
    """The branch for what cannot be cast: nothing, or an error with Trino's words."""
    if site.is_safe:
        return ""
    return f"WHEN {sql} IS NOT NULL THEN {failing(_cannot_cast(sql, target), in_try=site.in_try)}"


_FAILS_IN_TRY = "CAST('this value cannot be' AS INTEGER)"
"""DuckDB's TRY takes nothing volatile, which error() is."""


def failing(message: str, *, in_try: bool) -> str:
    """What fails when it is reached: one branch of several. `message` is SQL."""
    return f"CASE WHEN {_FAILS_IN_TRY} = 0 THEN NULL END" if in_try else f"error({message})"


def failing_as(message: str, target: Type, *, in_try: bool) -> str:
    """The same as a value of its own, which DuckDB must not know to be NULL before it fails."""
    value = f"CAST({_FAILS_IN_TRY} AS VARCHAR)" if in_try else f"error({message})"
    return f"CAST({value} AS {types.duckdb_name(target)})"


def _cannot_cast(sql: str, target: Type) -> str:
    """Trino's words, in SQL."""
    if target.name == "date":
        words = f"'Value cannot be cast to date: ' || {sql}"
        refused = text(f"{FAR} is not supported")
        return (
            f"CASE WHEN regexp_full_match({sql}, {text(FAR_YEAR)}) THEN {refused} ELSE {words} END"
        )
    if target.name in {"time", "timestamp"}:
        return f"{text(f'Value cannot be cast to {target.name}: ')} || {sql}"
    word = "INT" if target == t.INTEGER else str(target).replace(",", ", ").upper()
    return f"""{text("Cannot cast '")} || {sql} || {text(f"' to {word}")}"""
