"""MATCH_RECOGNIZE in DuckDB's SQL.

A partition becomes one list of rows. The worker's `qr_match` says which rows match and, for each
row that is returned, which rows its measures look at; what is computed of them is DuckDB's SQL.
A condition of DEFINE that depends on its row alone is computed for every row beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from queryrun.sql.compile.scope import Column, Output, Scope
from queryrun.sql.duckdb.calls import DuckDBCalls
from queryrun.sql.duckdb.patterns import program as pattern_program
from queryrun.sql.duckdb.patterns.conditions import Conditions
from queryrun.sql.duckdb.patterns.expressions import Input, Labels, Measures
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import patterns as ap

Made = tuple[str, list[Output]]


def compiled(c: DuckDBCalls, node: ap.Matched, source: str, columns: Sequence[Column]) -> Made:
    """The query that stands for the relation, its columns called `c1`, `c2`, …, and what they are.

    `source` and `columns`: the relation that is searched, as a FROM clause has it.
    """
    labels = _labels(c, node)
    rows = Input(c.fresh("b"), [c.usable_column(column, node.at) for column in columns])
    keys = [_column(c, rows, key) for key in node.partition]
    order = [_column(c, rows, item.expr) for item in node.order]
    conditions = Conditions(c, rows, labels)
    tests = [conditions.test(_condition(node, label)) for label in labels.names]
    measures = Measures(c, rows, labels, is_one=node.rows == "one")
    values = [measures.value(item.expr) for item in node.measures]
    program = {
        "code": _program(c, node, labels),
        "labels": labels.names,
        "tests": tests,
        "rows": node.rows,
        "skip": {"where": node.skip.where, "labels": _skip_labels(c, node, labels)},
        **measures.slots(),
    }
    items = [(rows.columns[n].heading, rows.columns[n].type, f"k{n}") for n in keys]
    if node.rows != "one":
        rest = [n for n in range(len(rows.columns)) if n not in {*keys, *order}]
        items += [rows.output(n) for n in order]
    items += [
        (item.name.text, value.type, f"CASE WHEN o.m IS NULL THEN NULL ELSE {c.exact(value)} END")
        for item, value in zip(node.measures, values, strict=True)
    ]
    if node.rows != "one":
        items += [rows.output(n) for n in rest]
    if not items:
        c.mismatch("pattern recognition output table has no columns", node.relation.at)
    listed = ", ".join(
        f"CAST({sql} AS {c.type_name(kind)}) AS c{n}" for n, (_, kind, sql) in enumerate(items, 1)
    )
    partitions = _partitions(c, node, rows, source, columns, keys, conditions)
    called = (
        f"qr_match({c.text(json.dumps(program))}, len(rows), {_listed(conditions.locals, 'd')}, "
        f"{_listed(conditions.texts, 't')})"
    )
    named = "".join(f"k{n}, " for n in dict.fromkeys(keys))
    sql = f"SELECT {listed} FROM (SELECT {named}rows, unnest({called}) AS o FROM ({partitions}))"
    return sql, [Output(heading, kind) for heading, kind, _ in items]


def _partitions(
    c: DuckDBCalls, node: ap.Matched, rows: Input, source: str, columns: Sequence[Column],
    keys: Sequence[int], conditions: Conditions,
) -> str:  # fmt: skip
    """One row per partition: its keys, its rows in their order, and lists for the search."""
    base = ", ".join(f"{column.sql} AS x{n}" for n, column in enumerate(columns))
    with c.inside(Scope(list(columns))):
        order = f" ORDER BY {c.order(node.order)}" if node.order else ""
        by_source = ", ".join(c.exact(c.expr(key)) for key in node.partition)
    partition = f"PARTITION BY {by_source}" if by_source else ""
    numbered = f"SELECT {base}, row_number() OVER ({partition}{order}) AS i FROM {source}"
    fields = [f"x{n} := x{n}" for n in range(len(columns))]
    fields += [f"e{n} := {sql}" for n, sql in enumerate(rows.expressions)]
    by = ", ".join(f"{rows.alias}.x{n}" for n in keys)
    window = f"({f'PARTITION BY {by} ' if by else ''}ORDER BY {rows.alias}.i)"
    parts = [f"struct_pack({', '.join(fields)}) AS r", f"{rows.alias}.i"]
    parts += [f"{rows.alias}.x{n} AS k{n}" for n in dict.fromkeys(keys)]
    parts += [f"{sql.format(window=window)} AS d{n}" for n, sql in enumerate(conditions.locals)]
    parts += [f"{sql} AS t{n}" for n, sql in enumerate(conditions.texts)]
    inner = f"SELECT {', '.join(parts)} FROM ({numbered}) AS {rows.alias}"
    lists = ["list(r ORDER BY i) AS rows"]
    lists += [f"list(d{n} ORDER BY i) AS d{n}" for n in range(len(conditions.locals))]
    lists += [f"list(t{n} ORDER BY i) AS t{n}" for n in range(len(conditions.texts))]
    named = [f"k{n}" for n in dict.fromkeys(keys)]
    grouped = f" GROUP BY {', '.join(named)}" if named else ""
    return f"SELECT {', '.join([*named, *lists])} FROM ({inner}){grouped}"


def _listed(parts: Sequence[str], prefix: str) -> str:
    return f"[{', '.join(f'{prefix}{n}' for n in range(len(parts)))}]"


# --- what Trino checks ----------------------------------------------------------------------


def _labels(c: DuckDBCalls, node: ap.Matched) -> Labels:
    parts = pattern_program.parts_of(node.pattern)
    names = list(dict.fromkeys(part.label for part in parts if isinstance(part, ap.Variable)))
    if node.rows == "unmatched":
        for part in parts:
            if isinstance(part, ap.Excluded):
                message = "Pattern exclusion syntax is not allowed when ALL ROWS PER MATCH WITH"
                c.mismatch(f"{message} UNMATCHED ROWS is specified", part.at)
    subsets: dict[str, list[str]] = {}
    for subset in node.subsets:
        if subset.label in names or subset.label in subsets:
            what = "primary" if subset.label in names else "another union"
            message = f"union pattern variable name: {subset.label} is a duplicate of {what}"
            c.mismatch(f"{message} pattern variable name", subset.at)
        for member in subset.members:
            if member not in names:
                c.mismatch(f"subset element: {member} is not a primary pattern variable", subset.at)
        subsets[subset.label] = subset.members
    seen: set[str] = set()
    for definition in node.definitions:
        if definition.label not in names:
            message = f"defined variable: {definition.label} is not a primary pattern variable"
            c.mismatch(message, definition.at)
        if definition.label in seen:
            message = f"pattern variable with name: {definition.label} is defined twice"
            c.mismatch(message, definition.at)
        seen.add(definition.label)
    return Labels(names, subsets)


def _condition(node: ap.Matched, label: str) -> ap.Definition | None:
    return next((one for one in node.definitions if one.label == label), None)


def _program(c: DuckDBCalls, node: ap.Matched, labels: Labels) -> list[list[str | int]]:
    try:
        for part in pattern_program.parts_of(node.pattern):
            if isinstance(part, ap.Permutation) and len(part.parts) > 6:
                c.refuse("PERMUTE of more than six patterns", part.at)
        return pattern_program.program_of(node.pattern, labels.names)
    except pattern_program.TooLargeError:
        c.refuse("So large a row pattern", node.pattern.at)


def _skip_labels(c: DuckDBCalls, node: ap.Matched, labels: Labels) -> list[int]:
    if node.skip.where in {"past", "next"}:
        return []
    found = labels.numbers(node.skip.label)
    if found is None:
        message = f"{node.skip.label} is not a primary or union pattern variable"
        c.mismatch(message, node.skip.at)
    return found


def _column(c: DuckDBCalls, rows: Input, node: ast.Expr) -> int:
    """Which column a key of PARTITION BY or ORDER BY is."""
    if not isinstance(node, ast.Name):
        c.mismatch("Expected column reference", node.at)
    return rows.index(c, replace(node, parts=node.parts[-1:]))
