"""Whether Trino has an overload for such arguments: what is not built is told from what is wrong.

The list is Trino's own (`catalog.py`). It is read loosely: a type that Trino might bring to the
parameter's fits. So a call that Trino may take is refused by name, never called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.catalog import trino_functions
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast

VARIADIC = frozenset(
    ["coalesce", "concat", "concat_ws", "format", "greatest", "least", "zip", "map_concat"]
)
"""Functions whose listed signature stands for any number of arguments."""
_FORMS = frozenset(["coalesce", "if", "nullif", "try", "format", "grouping"])
"""What Trino has besides the functions that it lists."""
_WITH_PRECISION = frozenset(["current_timestamp", "localtimestamp", "current_time", "localtime"])
"""Forms that take a number of digits."""
_STEPS = ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double")
_KNOWN = frozenset(
    [
        *_STEPS, "boolean", "varchar", "char", "varbinary", "date", "time", "timestamp", "json",
        "uuid", "ipaddress", "array", "map", "row", "function", "unknown",
        "interval day to second", "interval year to month", t.TSTZ, "time with time zone",
        "hyperloglog", "qdigest", "tdigest", "setdigest", "color", "p4hyperloglog",
        "joniregexp", "jsonpath", "codepoints", "likepattern", "re2jregexp",
    ]
)  # fmt: skip
_TEXTS = frozenset(["joniregexp", "jsonpath", "codepoints", "likepattern", "re2jregexp", "char"])
"""Parameters that a text becomes."""


def expected(name: str) -> list[str]:
    """The overloads that Trino lists, as its own message does."""
    return [f"{name}({row[1]})" for row in trino_functions().get(name, ())]


def may_take(name: str, args: Sequence[Type | None]) -> bool:
    """Whether an overload may fit. An argument without a type is a lambda."""
    if name in _FORMS:
        return False
    if name in _WITH_PRECISION:
        return len(args) == 1
    for row in trino_functions().get(name, ()):
        params = split(row[1])
        if name in VARIADIC and params and args:
            params = [*params, *[params[-1]] * (len(args) - len(params))]
        if len(params) == len(args) and all(map(_fits, args, params)):
            return True
    return False


def given(node: ast.Call, args: Sequence[Type]) -> list[Type | None]:
    """The types of the arguments, lambdas among them, as far as they are known."""
    if len(args) == len(node.args):
        return list(args)
    rest = iter(args)
    return [None if isinstance(arg, ast.Lambda) else next(rest, t.UNKNOWN) for arg in node.args]


def _fits(given: Type | None, param: str) -> bool:
    word = _base(param)
    if word == "function" or given is None:
        return word == "function" and given is None
    if word not in _KNOWN or given == t.UNKNOWN:
        return True
    if given.name == word:
        inner = split(param[param.find("(") + 1 : -1]) if given.parts and "(" in param else []
        return len(inner) != len(given.parts) or all(map(_fits, given.parts, inner))
    if given.name in _STEPS and word in _STEPS:
        return _STEPS.index(given.name) < _STEPS.index(word)
    if given.name == "varchar":
        return word in _TEXTS
    moments = ("date", "timestamp", t.TSTZ)
    return given.name in moments and word in moments[moments.index(given.name) :]


def _base(param: str) -> str:
    """`timestamp(p) with time zone` without what is in brackets."""
    return re.sub(r"\(.*\)", "", param).strip()


def split(params: str) -> list[str]:
    """A list of parameters at its outermost commas."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(params):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(params[start:at].strip())
            start = at + 1
    return [part for part in [*parts, params[start:].strip()] if part]
