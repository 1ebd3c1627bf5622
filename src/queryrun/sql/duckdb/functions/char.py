"""Functions of strings that make something else of a char than of the varchar it can become."""

from __future__ import annotations

from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.trino.records import ast


@special("trim", "ltrim", "rtrim")
def _trim(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """The spaces at a char's end are not there to be kept."""
    args = c.args(node, 1, 2)
    if args[0].type.name == "char":
        args[0] = replace(args[0], type=t.VARCHAR)
        return Typed(f"rtrim({c.plain(node, args).sql}, ' ')", t.VARCHAR)
    return c.plain(node, args)


@special("upper", "lower", "reverse")
def _same_length(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name != "char":
        return c.plain(node, [value])
    found = c.plain(node, [c.cast_to(value, t.VARCHAR)])
    return Typed(f"rtrim({found.sql}, ' ')", value.type)
