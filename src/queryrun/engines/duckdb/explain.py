"""EXPLAIN on the embedded engine: DuckDB's plan as text in Trino's column.

DuckDB's own drawing is not used: it names the files behind tables, cut off anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from queryrun.engines.io_plan import COLUMN
from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.trino.spelling import text

_HIDDEN = {"Filename(s)", "Text", "File Filters"}
"""What a plan says of paths on this machine."""
_FIRST_KEYS = ("Estimated Cardinality",)
_WRAPPERS = {"RESULT_COLLECTOR", "EXPLAIN_ANALYZE"}
_MAX_CHARS = 1_000_000


def explained_sql(sql: str, what: str) -> str:
    """The statement for DuckDB. `what`: `analyze`, or another that only plans."""
    return f"EXPLAIN ({'ANALYZE, ' if what == 'analyze' else ''}FORMAT json) {sql}"


def plan_relation(explained: str, secrets: Collection[str], what: str) -> str:
    """A query for the one row and column that Trino has. `explained` is DuckDB's.

    No line in which one of `secrets` stands is shown.
    """
    plan = json.loads(explained)
    if what == "json":
        nodes = [_node(operator, secrets, count()) for operator in plan]
        return plan_constant(json.dumps({str(n): one for n, one in enumerate(nodes)}, indent=2))
    if what == "graphviz":
        return plan_constant(_graph(plan))
    lines = [line for line in plan_lines(plan) if not _contains_any(line, secrets)]
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
    if "intermediate_rows" in operator:
        duration_ms = operator.get("timing", 0) * 1000
        yield f"{indent}    Output: {operator['intermediate_rows']} rows, CPU: {duration_ms:.2f}ms"
    yield from (f"{indent}    {detail}" for detail in _details(operator))


def _details(operator: Mapping[str, Any]) -> Iterator[str]:
    more = dict(operator.get("extra_info") or {})
    for key in (*_FIRST_KEYS, *(key for key in more if key not in _FIRST_KEYS)):
        value = more.get(key)
        if value is None or key in _HIDDEN:
            continue
        text_of_plan = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{key}: {' '.join(text_of_plan.split())}"


def _contains_any(line: str, secrets: Collection[str]) -> bool:
    return any(secret in line for secret in secrets)


# --- as documents: Trino's keys, DuckDB's operators -----------------------------------------


def _node(operator: Mapping[str, Any], secrets: Collection[str], ids: Iterator[int]) -> Any:
    return {
        "id": str(next(ids)),
        "name": str(operator.get("name", "?")).strip(),
        "descriptor": {},
        "outputs": [],
        "details": [one for one in _details(operator) if not _contains_any(one, secrets)],
        "estimates": [_estimate(operator)],
        "children": [_node(child, secrets, ids) for child in operator.get("children", [])],
    }


def _estimate(operator: Mapping[str, Any]) -> dict[str, float | str]:
    """Rows as DuckDB estimates them; nobody here estimates anything else, which Trino calls NaN."""
    rows = str((operator.get("extra_info") or {}).get("Estimated Cardinality"))
    return {
        "outputRowCount": float(rows) if rows.isdigit() else "NaN",
        **dict.fromkeys(("outputSizeInBytes", "cpuCost", "memoryCost", "networkCost"), "NaN"),
    }


def _graph(plan: Sequence[Mapping[str, Any]]) -> str:
    ids = count(1)
    lines = ["digraph distributed_plan {", "subgraph cluster_0 {", 'label = "SINGLE"']
    edges: list[str] = []

    def add(operator: Mapping[str, Any]) -> int:
        number = next(ids)
        name = str(operator.get("name", "?")).strip()
        lines.append(
            f'plannode_{number}[label="{{{name}}}", style="rounded, filled", shape=record];'
        )
        children = [add(child) for child in operator.get("children", [])]
        edges.extend(f"plannode_{number} -> plannode_{child};" for child in children)
        return number

    for operator in plan:
        add(operator)
    return "\n".join([*lines, "}", *edges, "}", ""])
