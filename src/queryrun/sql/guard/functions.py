"""Which functions a statement in DuckDB's SQL may call, by name: allow-lists, and why not others.

`duckdb_functions.json` classifies every function of the version that we ship; a test compares it
with the engine. A macro is judged by what its definition calls, and that by the same lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

OF_A_TABLE = "FROM "
"""Stands in a macro's list before the name of a table function."""
Judgement = Literal["allowed", "denied", "unknown"]


@cache
def classified() -> Mapping[str, Any]:
    """The file: `allowed`, `worker` (ours), `denied` by reason, `macros`, `tables`, …."""
    text = files("queryrun.sql.guard").joinpath("duckdb_functions.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def may_read_from(table_function: str) -> bool:
    """Whether a statement may have this table function in its FROM clause."""
    return table_function.lower() in _allowed_tables()


def judgement_of(function: str) -> Judgement:
    """Whether a statement may call this scalar, aggregate or window function or macro.

    `unknown` is what the version that we ship does not have: to be refused as not existing.
    """
    name = function.lower()
    if name in _denied():
        return "denied"
    if name in _allowed():
        return "allowed"
    if name not in _macros():
        return "unknown"
    return "allowed" if all(map(_is_allowed, _called_by(name))) else "denied"


def known_functions() -> frozenset[str]:
    """Every name that may be called."""
    return _allowed() | _macros().keys()


def _called_by(macro: str) -> frozenset[str]:
    """What a macro comes to when it and the macros in it are expanded."""
    found: set[str] = set()
    seen, pending = {macro}, [macro]
    while pending:
        for name in _macros()[pending.pop()]:
            if name in _macros() and name not in seen:
                seen.add(name)
                pending.append(name)
            elif name not in _macros():
                found.add(name)
    return frozenset(found)


def _is_allowed(called: str) -> bool:
    if called.startswith(OF_A_TABLE):
        return may_read_from(called.removeprefix(OF_A_TABLE))
    return called in _allowed()


@cache
def _allowed() -> frozenset[str]:
    collations = classified()["collations"]
    return frozenset(
        [
            *(name.lower() for name in classified()["allowed"]),
            *classified()["worker"],
            *(f"{prefix}collate_{name}" for name in collations for prefix in ("", "icu_")),
        ]
    )


@cache
def _denied() -> frozenset[str]:
    return frozenset(name for names in classified()["denied"].values() for name in names)


@cache
def _allowed_tables() -> frozenset[str]:
    return frozenset(classified()["tables"]["allowed"])


@cache
def _macros() -> Mapping[str, tuple[str, ...]]:
    found: Mapping[str, tuple[str, ...]] = classified()["macros"]
    return found
