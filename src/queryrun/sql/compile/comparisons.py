"""What of comparisons is the same for every engine."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type

NESTED = frozenset(["array", "map", "row", "json"])


def orderable(kind: Type) -> bool:
    """Whether Trino has an order of such values."""
    return kind.name not in {"map", "json"} and all(map(orderable, kind.parts))


def negated(sql: str, *, is_negated: bool) -> Typed:
    """The condition, or its opposite."""
    return Typed(f"(NOT {sql})" if is_negated else sql, t.BOOLEAN)
