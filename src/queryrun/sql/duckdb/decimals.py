"""Decimals as whole numbers and back, in DuckDB's SQL."""

from __future__ import annotations

from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import types


def unscaled(value: Typed) -> str:
    """A decimal's digits as a whole number."""
    precision, scale = value.type.params
    if scale == 0:
        return f"CAST({value.sql} AS HUGEINT)"
    if max(precision, 19) + scale < 38:
        wide = f"CAST({value.sql} AS DECIMAL({max(precision, 19)},{scale}))"
        return f"CAST({wide} * CAST({10**scale} AS DECIMAL({scale + 1},0)) AS HUGEINT)"
    digits = f"replace(CAST({value.sql} AS VARCHAR), '.', '')"
    return f"CAST({digits} AS HUGEINT)"


def scaled(sql: str, kind: Type) -> str:
    """A whole number's digits as a decimal."""
    scale = kind.params[1]
    if scale == 0:
        return f"CAST({sql} AS {types.duckdb_name(kind)})"
    plain = f"CAST(abs({sql}) AS VARCHAR)"
    digits = f"lpad({plain}, greatest({scale + 1}, length({plain})::INTEGER), '0')"
    sign = f"CASE WHEN {sql} < 0 THEN '-' ELSE '' END"
    written = f"{sign} || left({digits}, -{scale}) || '.' || right({digits}, {scale})"
    return f"CAST(({written}) AS {types.duckdb_name(kind)})"
