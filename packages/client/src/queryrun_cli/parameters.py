"""`-p name=value`: a typed value for `:name` of a statement, from the words of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import typer

from queryrun_client import Parameter

_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::([^=]+))?=(.*)", re.S)
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None}


def parameters_of(texts: Iterable[str]) -> dict[str, Any]:
    """The values by name; `typer.BadParameter` for another form and for a name that is twice."""
    found: dict[str, Any] = {}
    for text in texts:
        name, value = parameter_of(text)
        if name in found:
            raise typer.BadParameter(f"{name} is given twice", param_hint="--param")
        found[name] = value
    return found


def parameter_of(text: str) -> tuple[str, Any]:
    """`day:date=2024-01-31` has its type; without one, the value's form says what it is.

    12 is a bigint, 12.30 a decimal, true and false are booleans, null is NULL, and all else is a
    text, also 007 and 2024-01-31.
    """
    match = _NAMED.fullmatch(text)
    if match is None:
        raise typer.BadParameter(
            "use name=value, or name:type=value (day:date=2024-01-31)", param_hint="--param"
        )
    name, kind, value = match[1], (match[2] or "").strip(), match[3]
    if kind:
        is_null = value == "null" and not kind.lower().startswith(("varchar", "char"))
        return name, Parameter(None if is_null else value, kind)
    return name, value_of(value)


def value_of(text: str) -> object:
    """The value that a text without a type is."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text
