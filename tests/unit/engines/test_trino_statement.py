"""What Trino is sent: one query, without anything that it could read otherwise than we did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.name_scope import NameScope
from queryrun.engines.trino.statement import prepare
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.guard.restrict import RowRules
from queryrun.sql.position import SourcePosition
from queryrun.sql.trino.records import ast

ENDPOINT = TrinoEndpoint("http://localhost:8080", catalog="Sales", schema="Acme")


def columns(tables: Sequence[ast.Table]) -> list[dict[str, str]]:
    """Every table marks its deleted rows."""
    return [{"id": "bigint", "deleted": "boolean"} for _ in tables]


def sent(statement: str, endpoint: TrinoEndpoint = ENDPOINT, deleted: str = "include") -> str:
    """The text for Trino."""
    return prepare(statement, RowRules(deleted), NameScope(endpoint), columns).text


def refusal(statement: str, endpoint: TrinoEndpoint = ENDPOINT) -> FailureCode:
    """Why there is none."""
    with pytest.raises(RunFailed) as failed:
        sent(statement, endpoint)
    return failed.value.failure.code


def test_comments_and_semicolons_are_blanked_and_nothing_moves() -> None:
    statement = ";SELECT/* x */1 -- y\r FROM secret\n, ';--' AS \"/*\";;"
    text = sent(statement)
    assert text.split() == ["SELECT", "1", ",", "';--'", "AS", '"/*"']
    assert len(text) == len(statement)
    assert text.index("';--'") == statement.index("';--'")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)", "DELETE FROM t", "WITH w AS (DELETE FROM t) SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM t", "CALL system.runtime.kill_query('x')",
        "SET SESSION a = 1", "SELECT 1; SELECT 2", "EXECUTE x", "PREPARE x FROM SELECT 1",
        "ALTER TABLE t RENAME TO u", "GRANT SELECT ON t TO u",
    ],
)  # fmt: skip
def test_what_is_no_query_is_not_sent(statement: str) -> None:
    assert refusal(statement) is FailureCode.NOT_ALLOWED


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM TABLE(system.query('DROP TABLE t'))",
        "SELECT * FROM t TABLESAMPLE BERNOULLI (10)",
    ],
)
def test_what_our_parser_does_not_offer_is_not_sent(statement: str) -> None:
    assert refusal(statement) is FailureCode.NOT_SUPPORTED


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM other.t", "SELECT * FROM sales.other.t", "SELECT * FROM hive.acme.t",
        "SELECT * FROM system.runtime.queries", "TABLE \"SYSTEM\".metadata.catalogs",
        "SELECT * FROM information_schema.table_privileges", "SELECT * FROM a.b.c.d",
        "SHOW COLUMNS FROM other.t", "DESCRIBE system.runtime.queries",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM other.t)",
    ],
)  # fmt: skip
def test_names_end_at_the_sources_schema(statement: str) -> None:
    assert refusal(statement) is FailureCode.NOT_ALLOWED


@pytest.mark.parametrize("name", ["t", "acme.t", "ACME.t", '"Sales"."acme".t'])
def test_the_sources_own_schema_may_be_named(name: str) -> None:
    assert sent(f"SELECT * FROM {name}") == f"SELECT * FROM {name}"


def test_a_wider_name_scope_allows_more_names() -> None:
    catalog = TrinoEndpoint("http://localhost", "sales", "acme", name_scope="catalog")
    assert sent("TABLE other.t", catalog) == "TABLE other.t"
    assert refusal("TABLE hive.acme.t", catalog) is FailureCode.NOT_ALLOWED
    everything = TrinoEndpoint("http://localhost", "sales", "acme", name_scope="all")
    assert sent("TABLE hive.x.t", everything) == "TABLE hive.x.t"
    assert refusal("TABLE system.runtime.queries", everything) is FailureCode.NOT_ALLOWED


def test_the_engines_own_catalog_is_closed_to_sources_in_it() -> None:
    endpoint = TrinoEndpoint("http://localhost", "system", "runtime")
    assert refusal("TABLE queries", endpoint) is FailureCode.NOT_ALLOWED


def test_descriptions_cover_the_sources_schema_alone() -> None:
    text = sent("SELECT * FROM information_schema.columns c")
    expected = "(SELECT * FROM information_schema.columns WHERE table_schema = 'acme') c"
    assert text == f"SELECT * FROM {expected}"
    assert "schema_name = 'acme'" in sent("TABLE information_schema.schemata")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SHOW TABLES", "SHOW TABLES"),
        ("show tables from other like 'a''%' escape '$'", "SHOW TABLES LIKE 'a''%' ESCAPE '$'"),
        ("SHOW TABLES FROM information_schema", 'SHOW TABLES FROM "information_schema"'),
        ('SHOW COLUMNS IN acme."T"', 'SHOW COLUMNS FROM "acme"."T"'),
        ("DESC t", 'SHOW COLUMNS FROM "t"'),
        ("SHOW FUNCTIONS LIKE 'a%'", "SHOW FUNCTIONS LIKE 'a%'"),
        (
            "SHOW CATALOGS",
            "SELECT * FROM (VALUES CAST('sales' AS varchar)) AS t (\"Catalog\") ORDER BY 1",
        ),
    ],
)
def test_metadata_statements_are_rewritten(statement: str, text: str) -> None:
    assert sent(statement) == text


def test_a_value_that_trino_gives_no_position_is_found_where_no_table_is_named() -> None:
    """Positions are those of the statement as submitted; a table may be a view that divides."""
    failure = Failure(FailureCode.INVALID_VALUE, "Division by zero")

    def explained(statement: str) -> Failure:
        prepared = prepare(statement, RowRules("exclude"), NameScope(ENDPOINT), columns)
        return prepared.explained(failure)

    assert explained("SELECT/* 2/1 */\n 5 / (3 - 3)") == replace(failure, line=2, column=4)
    assert explained("SELECT 1/x, 2/y FROM (VALUES (0, 1)) v(x, y)") == failure
    assert explained("SELECT 1/id FROM t") == failure
    assert explained("SHOW TABLES") == failure


def test_other_catalogs_and_schemas_are_hidden() -> None:
    text = sent("SHOW SCHEMAS FROM hive LIKE 'x%'")
    assert "VALUES CAST('acme' AS varchar), CAST('information_schema' AS varchar)" in text
    assert text.endswith("WHERE \"Schema\" LIKE 'x%' ORDER BY 1")


def test_a_wider_name_scope_may_list_other_schemas_tables() -> None:
    endpoint = TrinoEndpoint("http://localhost", "sales", "acme", name_scope="catalog")
    assert sent("SHOW TABLES FROM other", endpoint) == 'SHOW TABLES FROM "other"'
    assert sent("SHOW SCHEMAS FROM sales", endpoint) == 'SHOW SCHEMAS FROM "sales"'
    assert refusal("SHOW SCHEMAS FROM hive", endpoint) is FailureCode.NOT_ALLOWED
    assert refusal("SHOW TABLES FROM hive.x", endpoint) is FailureCode.NOT_ALLOWED


def test_an_explained_query_is_restricted_too() -> None:
    text = sent("EXPLAIN ANALYZE SELECT id FROM t", deleted="exclude")
    hidden = "(SELECT * FROM t WHERE NOT coalesce(deleted, false)) AS t"
    assert text == f"EXPLAIN ANALYZE SELECT id FROM {hidden}"


def test_positions_are_those_of_the_statement_as_submitted() -> None:
    statement = "/* a\nb */ SELECT id FROM t WHERE x"
    prepared = prepare(statement, RowRules(), NameScope(ENDPOINT), columns)
    column = prepared.text.split("\n")[1].index("x") + 1
    assert prepared.position(2, column) == SourcePosition(
        2, statement.split("\n")[1].index("x") + 1
    )


def test_a_metadata_statements_errors_are_about_its_table() -> None:
    prepared = prepare("SHOW COLUMNS\n FROM t", RowRules(), NameScope(ENDPOINT), columns)
    assert prepared.position(1, 1) == SourcePosition(2, 7)
