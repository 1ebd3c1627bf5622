"""What has been compiled already, where the syntax tree has an expression."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records.extra import ExtraExpr


@dataclass(slots=True)
class Given(ExtraExpr):
    """What has been compiled already and stands in an expression."""

    value: Typed
    at: int
