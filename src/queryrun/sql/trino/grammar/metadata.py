"""Metadata statements in Trino's grammar: SHOW and EXPLAIN."""

from __future__ import annotations

from queryrun.sql.trino.grammar import routines as routine_forms
from queryrun.sql.trino.grammar.expressions import ExpressionParser
from queryrun.sql.trino.records import ast

_SHOWS = (
    "CATALOGS", "COLUMNS", "CREATE", "CURRENT", "FUNCTIONS", "GRANTS", "ROLE", "ROLES", "SCHEMAS",
    "SESSION", "STATS", "TABLES",
)  # fmt: skip
"""What SHOW takes, in the order in which Trino lists it."""
_PLANS = {
    ("DISTRIBUTED", "TEXT"): "plan", ("LOGICAL", "TEXT"): "plan",
    ("DISTRIBUTED", "JSON"): "json", ("LOGICAL", "JSON"): "json",
    ("DISTRIBUTED", "GRAPHVIZ"): "graphviz", ("LOGICAL", "GRAPHVIZ"): "graphviz",
}  # fmt: skip
"""What EXPLAIN shows by its TYPE and FORMAT. One engine's plan is distributed as it is logical.
What is validated or read is shown in one form, whatever the format, as in Trino."""


def whole_query(p: ExpressionParser) -> ast.Query:
    """A query, which may begin with functions of its own."""
    functions = routine_forms.functions(p)
    found = p.query()
    found.functions = functions
    return found


def table_name(p: ExpressionParser) -> ast.Table:
    """A table's name, with what may stand before it."""
    parts = [p.name()]
    while p.take_op("."):
        parts.append(p.name())
    return ast.Table(parts, parts[0].at)


def explain(p: ExpressionParser) -> ast.Explain:
    """`EXPLAIN …` of a query."""
    at = p.advance().at
    what = "plan"
    if p.take_word("ANALYZE"):
        p.take_word("VERBOSE")
        what = "analyze"
    elif p.at_op("(") and p.lookahead().text in {"TYPE", "FORMAT"}:
        what = _explain_options(p)
    if p.at_word("SHOW", "DESCRIBE", "DESC", "EXPLAIN"):
        p.refuse("EXPLAIN of a metadata statement is not supported", p.token.at)
    return ast.Explain(what, whole_query(p), at)


def _explain_options(p: ExpressionParser) -> str:
    """`(TYPE VALIDATE)`, `(FORMAT JSON)`: of each kind the first counts, as in Trino."""
    chosen: dict[str, str] = {}
    p.advance()
    while True:
        if p.expect_word("FORMAT", "TYPE").text == "TYPE":
            word = p.expect_word("DISTRIBUTED", "IO", "LOGICAL", "VALIDATE").text
            chosen.setdefault("TYPE", word)
        else:
            chosen.setdefault("FORMAT", p.expect_word("GRAPHVIZ", "JSON", "TEXT").text)
        if not p.take_op(","):
            break
    p.expect_op(")")
    kind = chosen.get("TYPE", "DISTRIBUTED")
    return _PLANS.get((kind, chosen.get("FORMAT", "TEXT")), kind.lower())


def _stats(p: ExpressionParser, at: int) -> ast.Stats:
    p.expect_word("FOR")
    if p.take_op("("):
        query = p.query()
        p.expect_op(")")
        return ast.Stats(query, at)
    table = table_name(p)
    return ast.Stats(ast.Query([], False, table, [], None, None, table.at), at)


def _show_create(p: ExpressionParser, at: int) -> ast.Show:
    if p.take_word("MATERIALIZED"):
        p.expect_word("VIEW")
        what = "MATERIALIZED VIEW"
    else:
        what = p.expect_word("FUNCTION", "SCHEMA", "TABLE", "VIEW").text
    return ast.Show(f"create {what.lower()}", None, None, None, at, table_name(p))


def _show_roles(p: ExpressionParser, first: str, at: int) -> ast.Show:
    """Roles and what they may: there are none here, whatever is asked about."""
    what = {"GRANTS": "grants", "ROLE": "role grants"}.get(first, "roles")
    if first == "CURRENT":
        p.expect_word("ROLES")
    elif first == "ROLE":
        p.expect_word("GRANTS")
    if first == "GRANTS":
        if p.take_word("ON"):
            p.take_word("TABLE")
            return ast.Show(what, None, None, None, at, table_name(p))
    elif p.take_word("FROM", "IN"):
        return ast.Show(what, None, None, None, at, table_name(p))
    return ast.Show(what, None, None, None, at)


def show(p: ExpressionParser) -> ast.Show | ast.Stats:
    """`SHOW …`."""
    at = p.advance().at
    what = p.expect_word(*_SHOWS).text
    if what == "STATS":
        return _stats(p, at)
    if what == "CREATE":
        return _show_create(p, at)
    if what in {"CURRENT", "GRANTS", "ROLE", "ROLES"}:
        return _show_roles(p, what, at)
    table = of = None
    if what == "COLUMNS":
        p.expect_word("FROM", "IN")
        table = table_name(p)
    elif what not in {"CATALOGS", "SESSION"} and p.take_word("FROM", "IN"):
        of = table_name(p)  # there is one schema and one catalog of ours: any name means them
    like = escape = None
    if p.take_word("LIKE"):
        like = p.text()
        escape = p.text() if p.take_word("ESCAPE") else None
    return ast.Show(what.lower(), table, like, escape, at, of)
