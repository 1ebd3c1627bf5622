"""EXPLAIN on the embedded engine: DuckDB's plan as text in Trino's column.

DuckDB's own drawing is not used: it names the files behind tables, cut off anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from queryrun.engines.io_plan import COLUMN
from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.trino.typed import text

_HIDDEN = {"Filename(s)", "Text", "File Filters"}
"""What a plan says of paths on this machine."""
_FIRST_KEYS = ("Estimated Cardinality",)
_WRAPPERS = {"RESULT_COLLECTOR", "EXPLAIN_ANALYZE"}
_MAX_CHARS = 1_000_000


def explained_sql(sql: str, what: str) -> str:
    """The statement for DuckDB. `what`: plan or analyze."""
    return f"EXPLAIN ({'ANALYZE, ' if what == 'analyze' else ''}FORMAT json) {sql}"


def plan_relation(explained: str, secrets: Collection[str]) -> str:
    """A query for the one row and column that Trino has. `explained` is DuckDB's.

    No line in which one of `secrets` stands is shown.
    """
    lines = [line for line in plan_lines(json.loads(explained)) if not _contains_any(line, secrets)]
    return plan_constant("\n".join(lines) + "\n")


def plan_constant(text_of_plan: str) -> str:
    """A query for the one row and column that Trino has; `RunFailed` for too large a plan."""
    if len(text_of_plan) > _MAX_CHARS:
        raise RunFailed.of(FailureCode.NOT_SUPPORTED, "The plan is too large to be shown")
    return f'SELECT {text(text_of_plan)} AS "{COLUMN}"'


VALID_RELATION = 'SELECT true AS "Valid"'
"""What EXPLAIN (TYPE VALIDATE) returns for a statement that could be bound."""


def plan_lines(explained: Any) -> Iterator[str]:
    """The plan as an indented list, operators above what feeds them."""
    if isinstance(explained, dict):
        query = explained.get("query", {})
        yield f"Execution: {query.get('total_time', 0) * 1000:.2f}ms"
        yield f"CPU: {query.get('cpu_time', 0) * 1000:.2f}ms"
        explained = explained.get("operator", [])
    for operator in explained:
        yield from _operator(operator, 0)


def _operator(operator: Mapping[str, Any], depth: int) -> Iterator[str]:
    name = str(operator.get("name", "?")).strip()
    if name not in _WRAPPERS:
        yield from _described(name, operator, "    " * depth)
        depth += 1
    for child in operator.get("children", []):
        yield from _operator(child, depth)


def _described(name: str, operator: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Keys that name files are left out, because a plan must not reveal the server's paths."""
    yield f"{indent}{name}"
    more = dict(operator.get("extra_info") or {})
    if "intermediate_rows" in operator:
        duration_ms = operator.get("timing", 0) * 1000
        yield f"{indent}    Output: {operator['intermediate_rows']} rows, CPU: {duration_ms:.2f}ms"
    for key in (*_FIRST_KEYS, *(key for key in more if key not in _FIRST_KEYS)):
        value = more.get(key)
        if value is None or key in _HIDDEN:
            continue
        text_of_plan = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{indent}    {key}: {' '.join(text_of_plan.split())}"


def _contains_any(line: str, secrets: Collection[str]) -> bool:
    return any(secret in line for secret in secrets)
