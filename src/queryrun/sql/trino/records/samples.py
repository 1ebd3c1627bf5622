"""TABLESAMPLE as a plain record."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.trino.records.ast import Expr, Relation
from queryrun.sql.trino.records.extra import ExtraRelation


@dataclass(slots=True)
class Sampled(ExtraRelation):
    """relation TABLESAMPLE kind (percentage). `kind`: BERNOULLI or SYSTEM; `at`: TABLESAMPLE."""

    relation: Relation
    kind: str
    percentage: Expr
    at: int
