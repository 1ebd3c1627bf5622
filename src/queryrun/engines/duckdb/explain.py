"""EXPLAIN on the embedded engine: DuckDB's plan as text in Trino's column.

DuckDB's own drawing is not used: it names the files behind tables, cut off at any place.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.trino.typed import text

_HIDDEN = {"Filename(s)", "Text", "File Filters"}
"""What a plan says of places on this machine."""
_SHOWN_FIRST = ("Estimated Cardinality",)
_WRAPPERS = {"RESULT_COLLECTOR", "EXPLAIN_ANALYZE"}
_MOST_CHARS = 1_000_000


def explained_sql(sql: str, what: str) -> str:
    """The statement for DuckDB. `what`: plan or analyze."""
    return f"EXPLAIN ({'ANALYZE, ' if what == 'analyze' else ''}FORMAT json) {sql}"


def plan_relation(answer: str, secrets: Collection[str]) -> str:
    """A query for the one row and column that Trino has. `answer` is DuckDB's.

    No line in which one of `secrets` stands is shown.
    """
    lines = [line for line in plan_lines(json.loads(answer)) if not _tells(line, secrets)]
    shown = "\n".join(lines) + "\n"
    if len(shown) > _MOST_CHARS:
        raise RunFailed.of(FailureCode.NOT_SUPPORTED, "The plan is too large to be shown")
    return f'SELECT {text(shown)} AS "Query Plan"'


VALID_RELATION = 'SELECT true AS "Valid"'
"""What EXPLAIN (TYPE VALIDATE) answers for a statement that could be bound."""


def plan_lines(answer: Any) -> Iterator[str]:
    """The plan as an indented list, operators above what feeds them."""
    if isinstance(answer, dict):
        query = answer.get("query", {})
        yield f"Execution: {query.get('total_time', 0) * 1000:.2f}ms"
        yield f"CPU: {query.get('cpu_time', 0) * 1000:.2f}ms"
        answer = answer.get("operator", [])
    for operator in answer:
        yield from _operator(operator, 0)


def _operator(operator: Mapping[str, Any], depth: int) -> Iterator[str]:
    name = str(operator.get("name", "?")).strip()
    if name not in _WRAPPERS:
        yield from _described(name, operator, "    " * depth)
        depth += 1
    for child in operator.get("children", []):
        yield from _operator(child, depth)


def _described(name: str, operator: Mapping[str, Any], indent: str) -> Iterator[str]:
    yield f"{indent}{name}"
    more = dict(operator.get("extra_info") or {})
    if "intermediate_rows" in operator:
        took = operator.get("timing", 0) * 1000
        yield f"{indent}    Output: {operator['intermediate_rows']} rows, CPU: {took:.2f}ms"
    for key in (*_SHOWN_FIRST, *(key for key in more if key not in _SHOWN_FIRST)):
        value = more.get(key)
        if value is None or key in _HIDDEN:
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{indent}    {key}: {' '.join(shown.split())}"


def _tells(line: str, secrets: Collection[str]) -> bool:
    return any(secret in line for secret in secrets)
