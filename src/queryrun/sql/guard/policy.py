"""The rules for one statement: an allow-list over the facts of its parse tree.

Applied twice: by the guard before a run is accepted (`duckdb.py`), and by the engine's session
before it binds the statement, so that a guard that was bypassed is not the only defence.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from queryrun.sql.guard.engine_names import ENGINE_RELATIONS, OF_THE_ENGINE
from queryrun.sql.guard.functions import judgement_of, known_functions, may_read_from
from queryrun.sql.guard.tree import Named, Tree

_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_RELATIONS = {
    "BASE_TABLE",
    "EMPTY",
    "EXPRESSION_LIST",
    "JOIN",
    "PIVOT",
    "SHOW_REF",
    "SUBQUERY",
    "TABLE_FUNCTION",
}
_MODIFIERS = {
    "ASCENDING",
    "DESCENDING",
    "DISTINCT_MODIFIER",
    "LIMIT_MODIFIER",
    "LIMIT_PERCENT_MODIFIER",
    "ORDER_DEFAULT",
    "ORDER_MODIFIER",
}
_EXPRESSIONS = {
    "ARRAY_CONSTRUCTOR",
    "ARRAY_EXTRACT",
    "ARRAY_SLICE",
    "ARROW",
    "CASE_EXPR",
    "COLLATE",
    "COLUMN_REF",
    "FUNCTION",
    "LAMBDA",
    "LAMBDA_REF",
    "POSITIONAL_REFERENCE",
    "STAR",
    "STRUCT_EXTRACT",
    "TYPE",
    "VALUE_CONSTANT",
    "VALUE_DEFAULT",
    "VALUE_PARAMETER",
}
_ALLOWED_NODES = _QUERY_NODES | _RELATIONS | _MODIFIERS | _EXPRESSIONS
_EXPRESSION_FAMILIES = ("COMPARE_", "CONJUNCTION_", "OPERATOR_", "WINDOW_", "GROUPING_")

_WRITING_NODES = {
    "INSERT_QUERY_NODE": "INSERT",
    "UPDATE_QUERY_NODE": "UPDATE",
    "DELETE_QUERY_NODE": "DELETE",
    "MERGE_QUERY_NODE": "MERGE",
    "COPY_QUERY_NODE": "COPY",
}
_SPECIALS = frozenset({"tables"})
_DESCRIBES_OUR_TABLES = frozenset({"tables", "columns", "schemata"})
_ENGINE_SCHEMAS = frozenset({"information_schema", "pg_catalog"})
_FILE_SUFFIXES = (
    ".arrow", ".avro", ".csv", ".db", ".duckdb", ".json", ".jsonl", ".ndjson",
    ".orc", ".parquet", ".sqlite", ".tsv", ".txt", ".vortex", ".xlsx",
)  # fmt: skip
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_FILE_CHARACTERS = frozenset("/\\:*?[]{}")


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a statement may not run. `writes`: it would change data; otherwise it reaches too far.

    `is_unknown`: it calls a function that does not exist, which is for the run to say.
    """

    message: str
    offset: int | None = None
    writes: bool = False
    is_unknown: bool = False


def objection_to(tree: Tree, tables: Collection[str] = ()) -> Objection | None:
    """The first rule that the statement breaks, or None when it may run.

    `tables` are known to exist, in lower case: a file `a[1].csv` is one, although DuckDB would
    take such a name for files where there is no table.
    """
    return (
        _to_nodes(tree)
        or _to_specials(tree)
        or _to_table_functions(tree)
        or _to_functions(tree)
        or _to_relations(tree, tables)
    )


def _to_nodes(tree: Tree) -> Objection | None:
    """Allowed by name: a kind of node that a new DuckDB brings is refused until reviewed."""
    for node in sorted(tree.nodes):
        if node in _WRITING_NODES:
            return Objection(
                f"{_WRITING_NODES[node]} is not allowed: statements are read-only", writes=True
            )
        if node not in _ALLOWED_NODES and not node.startswith(_EXPRESSION_FAMILIES):
            return Objection(f"This kind of expression is not allowed: {node.lower()}")
    return None


def _to_specials(tree: Tree) -> Objection | None:
    for special in tree.specials:
        if special not in _SPECIALS:
            return Objection(f"SHOW {special.upper()} is not allowed")
    return None


def _to_table_functions(tree: Tree) -> Objection | None:
    for function in tree.table_functions:
        if not may_read_from(function.name):
            return Objection(f"Table function '{function.name}' is not allowed", function.offset)
    return None


def _to_functions(tree: Tree) -> Objection | None:
    for function in tree.functions:
        judgement = judgement_of(function.name)
        if judgement == "denied":
            return Objection(f"Function '{function.name}' is not allowed", function.offset)
        if judgement == "unknown":
            message = f"Function '{function.name}' does not exist{_did_you_mean(function.name)}"
            return Objection(message, function.offset, is_unknown=True)
    return None


def _did_you_mean(function: str) -> str:
    close = difflib.get_close_matches(function.lower(), known_functions(), n=1, cutoff=0.6)
    return f". Did you mean '{close[0]}'?" if close else ""


def _to_relations(tree: Tree, tables: Collection[str]) -> Objection | None:
    for table in tree.tables:
        is_table = not table.schema and table.name.lower() in tables
        if not is_table and _is_file(
            f".{table.schema}.{table.name}" if table.schema else table.name
        ):
            return Objection("Reading a file by its name is not allowed", table.offset)
        if _is_about_the_engine(table):
            why = f": {OF_THE_ENGINE}" if is_table else ""
            return Objection(f"Relation '{table.name}' is not allowed{why}", table.offset)
    return None


def _is_file(name: str) -> bool:
    """Where there is no table of a name, DuckDB reads the file of that path, schema and all."""
    lower = name.lower()
    for suffix in _PACKED:
        lower = lower.removesuffix(suffix)
    return not _FILE_CHARACTERS.isdisjoint(lower) or lower.endswith(_FILE_SUFFIXES)


def _is_about_the_engine(table: Named) -> bool:
    name, schema = table.name.lower(), table.schema.lower()
    if schema == "information_schema":
        return name not in _DESCRIBES_OUR_TABLES
    return schema in _ENGINE_SCHEMAS or name.startswith(ENGINE_RELATIONS)
