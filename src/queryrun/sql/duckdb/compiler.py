"""The compiler whose target is DuckDB."""

from __future__ import annotations

from queryrun.sql.duckdb.expressions import DuckDBExpressions
from queryrun.sql.duckdb.operators import DuckDBOperators
from queryrun.sql.duckdb.relations import DuckDBRelations
from queryrun.sql.duckdb.spelling import DuckDBSpelling


class DuckDBCompiler(DuckDBSpelling, DuckDBExpressions, DuckDBOperators, DuckDBRelations):
    """Compiles one statement against a schema into DuckDB's SQL."""
