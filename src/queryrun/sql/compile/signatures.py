"""Functions whose form is a template: reads the tables, and finds the overload that fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type

_LINE = re.compile(r"(?P<name>\w+)\((?P<params>.*?)\) -> (?P<returns>.*?) = (?P<template>.+)")
_WORDS = {
    "boolean": t.BOOLEAN, "tinyint": t.TINYINT, "smallint": t.SMALLINT, "integer": t.INTEGER,
    "bigint": t.BIGINT, "real": t.REAL, "double": t.DOUBLE, "varchar": t.VARCHAR,
    "varbinary": t.VARBINARY, "date": t.DATE, "json": t.JSON, "uuid": t.UUID,
    "timestamp": t.timestamp(6), "timestamp3": t.timestamp(3), "timestamp_tz": t.timestamp_tz(6),
    "timestamp_tz3": t.timestamp_tz(3), "decimal38": t.decimal(38, 0), "interval_day": t.DAYS,
    "interval_month": t.MONTHS, "ipaddress": t.IPADDRESS,
}  # fmt: skip
_VARIABLES = frozenset("TKVU")
_MOMENTS = {"timestamp", t.TSTZ}


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload. A parameter type of one capital letter stands for any type."""

    name: str
    params: tuple[Type, ...]
    returns: Type
    template: str


def read_signatures(table: str) -> dict[str, list[Signature]]:
    """`name(type, type) -> type = template` line by line; `{0}` is the first argument."""
    found: dict[str, list[Signature]] = {}
    for line in filter(None, (line.strip() for line in table.splitlines())):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(line)
        params = tuple(_type(text) for text in split_types(match["params"]))
        signature = Signature(match["name"], params, _type(match["returns"]), match["template"])
        found.setdefault(match["name"], []).append(signature)
    return found


_ERROR = re.compile(r"error\(('[^']*')\)")


def apply(
    overloads: Sequence[Signature],
    args: Sequence[Typed],
    *,
    in_try: bool = False,
    argument: Callable[[Typed, Type], str],
    coarse: Callable[[Typed, Type], Typed],
) -> Typed | None:
    """The call as SQL by the overload that needs the fewest coercions; None: none fits.

    `argument` brings a value to a type; `coarse` leaves out what is finer than a microsecond.
    """
    best = _best(overloads, args)
    if best is None:
        return None
    signature, target, variables = best
    values = [
        argument(*_whole(param, arg, want, coarse))
        for param, arg, want in zip(signature.params, args, target, strict=True)
    ]
    template = signature.template
    if in_try:
        template = _ERROR.sub(r"CASE WHEN CAST(\1 AS INTEGER) = 0 THEN NULL END", template)
    sql = template.format(*values)
    if sql.startswith("CASE "):
        sql = f"({sql})"
    return Typed(sql, _filled(signature.returns, variables))


def _whole(
    param: Type, value: Typed, target: Type, coarse: Callable[[Typed, Type], Typed]
) -> tuple[Typed, Type]:
    """Templates for moments take the engine's own types, which end at the microsecond."""
    if param.name not in _MOMENTS or not t.is_fine(target):
        return value, target
    value = coarse(value, target)
    return value, value.type


def repeats(overloads: Sequence[Signature], args: Sequence[Typed], index: int) -> bool:
    """Whether the template of the overload that fits has this argument more than once."""
    best = _best(overloads, args)
    return best is not None and best[0].template.count(f"{{{index}}}") > 1


def _best(
    overloads: Sequence[Signature], args: Sequence[Typed]
) -> tuple[Signature, list[Type], dict[str, Type]] | None:
    best: tuple[int, Signature, list[Type], dict[str, Type]] | None = None
    for signature in overloads:
        bound = _bind(signature, args)
        if bound is None:
            continue
        target, variables = bound
        pairs = zip(args, target, strict=True)
        cost = sum(_distance(arg.type, want) for arg, want in pairs)
        if best is None or cost < best[0]:
            best = (cost, signature, target, variables)
    return best[1:] if best else None


def _bind(signature: Signature, args: Sequence[Typed]) -> tuple[list[Type], dict[str, Type]] | None:
    """Type variables must get one type from all arguments before overloads can be compared."""
    if len(args) != len(signature.params):
        return None
    variables: dict[str, Type] = {}
    for param, arg in zip(signature.params, args, strict=True):
        if not _learn(param, arg.type, variables):
            return None
    target = [
        _target(_filled(p, variables), a.type) for p, a in zip(signature.params, args, strict=True)
    ]
    fits = all(t.can_become(a.type, w) for a, w in zip(args, target, strict=True))
    return (target, variables) if fits else None


def _learn(param: Type, given: Type, variables: dict[str, Type]) -> bool:
    """Find what the variables in `param` stand for; False when the two have different shapes."""
    if param.name in _VARIABLES:
        known = variables.get(param.name)
        found = given if known is None else t.common(known, given)
        if found is None:
            return False
        variables[param.name] = found
        return True
    if not param.parts:
        return True
    if given.name == "unknown":
        return True
    if given.name != param.name or len(given.parts) != len(param.parts):
        return False
    return all(_learn(p, g, variables) for p, g in zip(param.parts, given.parts, strict=True))


def _target(param: Type, given: Type) -> Type:
    """Timestamps keep their precision and zone."""
    return given if param.name == given.name and given.name in _MOMENTS else param


def _filled(kind: Type, variables: dict[str, Type]) -> Type:
    if kind.name in _VARIABLES:
        return variables.get(kind.name, t.UNKNOWN)
    if not kind.parts:
        return kind
    return replace(kind, parts=tuple(_filled(part, variables) for part in kind.parts))


_STEPS = ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double")


def _distance(given: Type, target: Type) -> int:
    if t.bare(given) == t.bare(target):
        return 0
    if given.name in _STEPS and target.name in _STEPS:
        # Trino prefers double to real for exact numbers
        penalty = 5 if target.name == "real" else 0
        return 1 + _STEPS.index(target.name) - _STEPS.index(given.name) + penalty
    return 1


def _type(text: str) -> Type:
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if text in _VARIABLES:
        return Type(text)
    name, _, inner = text.removesuffix(")").partition("(")
    if name not in {"array", "map", "row"}:
        raise ValueError(text)
    parts = tuple(_type(part) for part in split_types(inner))
    return Type(name, parts=parts, names=("",) * len(parts) if name == "row" else ())


def split_types(text: str) -> list[str]:
    """The types of a list, each by itself: cut at the commas that are in no brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in [*parts, text[start:]] if part.strip()]
