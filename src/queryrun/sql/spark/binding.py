"""A value that is needed more than once, computed once: Spark's SQL has no LET, but lambdas."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_SIMPLE = re.compile(r"[\w.`]{1,80}|CAST\('?-?[\w.+-]{1,40}'? AS [\w(), ]{1,30}\)")


def bound(sql: str, body: Callable[[str], str], name: str = "v") -> str:
    """`body` of the value; written out where that is short."""
    if _SIMPLE.fullmatch(sql):
        return body(sql)
    return f"transform(array({sql}), {name} -> {body(name)})[0]"


def all_bound(values: Mapping[str, str], body: Callable[[str], str], name: str) -> str:
    """`body` of several values, which are `name.key` in there."""
    fields = ", ".join(f"'{key}', {sql}" for key, sql in values.items())
    return f"transform(array(named_struct({fields})), {name} -> {body(name)})[0]"
