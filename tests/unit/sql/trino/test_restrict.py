"""Rows are excluded wherever a table is read, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.reading import read
from queryrun.sql.guard.restrict import Facts, Rewritten, RowRules, restricted
from queryrun.sql.position import SourcePosition
from queryrun.sql.trino.records import ast

MARKED = {"id": "bigint", "deleted": "boolean"}
TABLES = {
    "account": MARKED,
    "invoice": MARKED,
    "item": {"id": "bigint", "org_id": "bigint"},
    "plain": {"id": "bigint"},
    "odd": {"deleted": "varchar"},
}
HIDE = "WHERE NOT coalesce(deleted, false)"
ACCOUNT = f"(SELECT * FROM account {HIDE}) AS account"
EXCLUDE = RowRules()


def describe(tables: Sequence[ast.Table]) -> list[Facts]:
    """What the tests' tables are like."""
    return [Facts(TABLES.get(table.parts[-1].key, {})) for table in tables]


def rewritten(statement: str, rules: RowRules = EXCLUDE) -> Rewritten:
    """The statement after the rules."""
    node = read(statement).node
    assert isinstance(node, ast.Query)
    return restricted(statement, node, rules, describe)


def text(statement: str, rules: RowRules = EXCLUDE) -> str:
    """The statement's text after the rules."""
    return rewritten(statement, rules).text


def test_a_table_keeps_its_name() -> None:
    assert text("SELECT account.id FROM account") == f"SELECT account.id FROM {ACCOUNT}"


def test_a_table_keeps_its_alias() -> None:
    expected = f"SELECT a.id FROM (SELECT * FROM account {HIDE}) AS a"
    assert text("SELECT a.id FROM account AS a") == expected


def test_a_tables_columns_keep_their_new_names() -> None:
    expected = f"SELECT x FROM (SELECT * FROM account {HIDE}) a (x, y)"
    assert text("SELECT x FROM account a (x, y)") == expected


def test_both_sides_of_a_join_are_restricted() -> None:
    found = text("SELECT * FROM account JOIN invoice i ON account.id = i.id")
    invoice = f"(SELECT * FROM invoice {HIDE}) i"
    assert found == f"SELECT * FROM {ACCOUNT} JOIN {invoice} ON account.id = i.id"


def test_tables_in_a_list_are_restricted() -> None:
    assert text("SELECT * FROM plain, account") == f"SELECT * FROM plain, {ACCOUNT}"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM (SELECT id FROM account) x",
        "SELECT (SELECT max(id) FROM account) FROM plain",
        "SELECT 1 FROM plain WHERE id IN (SELECT id FROM account)",
        "SELECT 1 FROM plain p WHERE EXISTS (SELECT 1 FROM account WHERE account.id = p.id)",
        "SELECT 1 FROM plain WHERE id > ALL (SELECT id FROM account)",
        "SELECT 1 FROM plain a JOIN plain b ON a.id = (SELECT min(id) FROM account)",
        "SELECT * FROM plain CROSS JOIN LATERAL (SELECT id FROM account) l",
        "SELECT 1 FROM plain ORDER BY (SELECT max(id) FROM account)",
        "SELECT id FROM plain GROUP BY id HAVING id > (SELECT max(id) FROM account)",
        "SELECT * FROM UNNEST(ARRAY[(SELECT max(id) FROM account)]) u (x)",
        "SELECT * FROM JSON_TABLE((SELECT max(j) FROM account), 'lax $' COLUMNS(a bigint))",
        "SELECT * FROM (SELECT id FROM account) "
        "MATCH_RECOGNIZE (ORDER BY id MEASURES id AS x PATTERN (A) DEFINE A AS true)",
        "SELECT * FROM plain MATCH_RECOGNIZE (ORDER BY id MEASURES id AS x PATTERN (A) "
        "DEFINE A AS id IN (SELECT id FROM account))",
        "VALUES (SELECT max(id) FROM account)",
        "SELECT id FROM plain UNION ALL (SELECT id FROM account)",
        "WITH w AS (SELECT id FROM account) SELECT * FROM w",
        "SELECT CASE WHEN EXISTS (SELECT id FROM account) THEN 1 END",
        "SELECT transform(ARRAY[1], x -> (SELECT max(id) FROM account))",
        "SELECT sum(id) OVER (ORDER BY (SELECT max(id) FROM account)) FROM plain",
    ],
)
def test_a_table_is_restricted_wherever_it_is_read(statement: str) -> None:
    assert text(statement) == statement.replace("FROM account", f"FROM {ACCOUNT}")


def test_a_whole_table_as_a_query_is_restricted() -> None:
    hidden = f"(SELECT * FROM account {HIDE})"
    assert text("TABLE account") == hidden
    found = text("SELECT 1, false UNION /* TABLE */ TABLE /* ß */ account ORDER BY 1")
    expected = (
        f"SELECT 1, false UNION /* TABLE */ (SELECT * FROM /* ß */ account {HIDE}) ORDER BY 1"
    )
    assert found == expected


def test_a_with_entry_is_no_table() -> None:
    statement = "WITH account AS (SELECT 1 AS id) SELECT * FROM account"
    assert text(statement) == statement


def test_a_with_entry_reads_the_table_of_its_own_name() -> None:
    statement = "WITH account AS (SELECT * FROM account) SELECT * FROM account"
    expected = f"WITH account AS (SELECT * FROM {ACCOUNT}) SELECT * FROM account"
    assert text(statement) == expected


def test_a_with_entry_is_known_only_within_its_query() -> None:
    statement = "SELECT * FROM (WITH account AS (SELECT 1 AS id) SELECT * FROM account) x, account"
    assert text(statement) == statement.removesuffix("account") + ACCOUNT


def test_a_with_entry_is_known_to_later_ones_only() -> None:
    statement = "WITH a AS (SELECT * FROM account), account AS (TABLE a) SELECT * FROM account"
    expected = f"WITH a AS (SELECT * FROM {ACCOUNT}), account AS (TABLE a) SELECT * FROM account"
    assert text(statement) == expected


def test_a_name_with_its_schema_is_no_with_entry() -> None:
    statement = "WITH account AS (SELECT 1 AS id) SELECT * FROM s.account"
    expected = statement.removesuffix("s.account")
    assert text(statement) == f"{expected}(SELECT * FROM s.account {HIDE}) AS account"


def test_a_recursive_entry_reads_itself() -> None:
    statement = (
        "WITH RECURSIVE account (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM account "
        "WHERE id < 5) SELECT * FROM account"
    )
    assert text(statement) == statement


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, deleted FROM account",
        "SELECT id FROM account UNION ALL SELECT 1",
        "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT id FROM account",
        "WITH x AS (SELECT 1) SELECT 1 UNION ALL SELECT id FROM account",
    ],
)
def test_what_only_looks_recursive_is_refused(query: str) -> None:
    """Trino then takes the inner name for the table's: it must not expose hidden rows."""
    with pytest.raises(RunFailed) as refused:
        text(f"WITH RECURSIVE account (id) AS ({query}) SELECT * FROM account")
    assert refused.value.failure.code is FailureCode.NOT_SUPPORTED


def test_an_entry_of_a_recursive_list_that_reads_no_entry_is_restricted() -> None:
    statement = "WITH RECURSIVE w AS (SELECT id FROM account) SELECT * FROM w"
    assert text(statement) == statement.replace("FROM account", f"FROM {ACCOUNT}")


def test_names_have_no_case_and_keep_their_quotes() -> None:
    expected = f'SELECT * FROM (SELECT * FROM "Account" {HIDE}) AS "Account"'
    assert text('SELECT * FROM "Account"') == expected
    assert text('WITH "ACCOUNT" AS (SELECT 1) TABLE account').endswith("TABLE account")


def test_a_name_with_quotes_in_it_stays_whole() -> None:
    tables = {'we"ird': MARKED}
    statement = 'SELECT * FROM "we""ird" w'
    node = read(statement).node
    assert isinstance(node, ast.Query)
    found = restricted(
        statement, node, EXCLUDE, lambda t: [Facts(tables[x.parts[-1].key]) for x in t]
    )
    assert found.text == f'SELECT * FROM (SELECT * FROM "we""ird" {HIDE}) w'


def test_a_column_named_with_its_tables_long_name_is_still_found() -> None:
    found = text("SELECT c.s.account.id, s.account.id FROM c.s.account, s.account WHERE s.x.y = 1")
    long = f"(SELECT * FROM c.s.account {HIDE}) AS account"
    short = f"(SELECT * FROM s.account {HIDE}) AS account"
    assert found == f"SELECT account.id, account.id FROM {long}, {short} WHERE s.x.y = 1"


def test_selecting_the_mark_shows_both_kinds() -> None:
    statement = "SELECT id, deleted FROM account"
    assert text(statement) == statement
    assert text("SELECT a.deleted FROM account a").endswith("FROM account a")


def test_selecting_the_mark_of_one_table_leaves_the_other_restricted() -> None:
    found = text("SELECT a.deleted FROM account a, invoice i")
    assert found == f"SELECT a.deleted FROM account a, (SELECT * FROM invoice {HIDE}) i"


def test_the_mark_in_a_condition_alone_changes_nothing() -> None:
    found = text("SELECT id FROM account WHERE deleted")
    assert found == f"SELECT id FROM {ACCOUNT} WHERE deleted"


def test_the_mark_selected_outside_does_not_open_a_subquery() -> None:
    found = text("SELECT deleted FROM (SELECT * FROM account) x")
    assert found == f"SELECT deleted FROM (SELECT * FROM {ACCOUNT}) x"


def test_only_deleted_rows_can_be_requested() -> None:
    found = text("SELECT id FROM account", RowRules("only"))
    assert "FROM account WHERE coalesce(deleted, false))" in found


def test_all_rows_can_be_requested() -> None:
    statement = "SELECT id FROM account"
    assert text(statement, RowRules("include")) == statement
    assert RowRules("include").restrict_nothing


def test_a_column_of_another_type_is_no_mark() -> None:
    statement = "SELECT * FROM odd"
    assert text(statement) == statement


def test_rows_of_other_orgs_are_excluded() -> None:
    found = text("SELECT * FROM item", RowRules("include", "Org_Id", ("1", "o'2")))
    condition = "CAST(\"Org_Id\" AS varchar) IN ('1', 'o''2')"
    assert found == f"SELECT * FROM (SELECT * FROM item WHERE {condition}) AS item"


def test_a_barrier_stands_behind_the_restriction_by_org_alone() -> None:
    rules = RowRules("exclude", "org_id", ("1",), barrier=" LIMIT 9")
    condition = "CAST(\"org_id\" AS varchar) IN ('1')"
    assert text("TABLE item", rules) == f"(SELECT * FROM item WHERE {condition} LIMIT 9)"
    assert text("SELECT id FROM account", rules) == f"SELECT id FROM {ACCOUNT}"


@pytest.mark.parametrize(
    "statement",
    [
        "EXPLAIN SELECT id FROM item",
        ";EXPLAIN ANALYZE SELECT 1 FROM item",
        'SELECT * FROM "item$partitions"',
        'SELECT * FROM plain, x."Item$Files" AS f',
    ],
)
def test_what_tells_of_hidden_rows_is_refused(statement: str) -> None:
    with pytest.raises(RunFailed) as failed:
        text(statement, RowRules("include", "org_id", ("1",)))
    assert failed.value.failure.code is FailureCode.NOT_ALLOWED


def test_selecting_the_mark_opens_no_other_org() -> None:
    TABLES["both"] = {"org_id": "varchar", "deleted": "boolean"}
    found = text("SELECT deleted FROM both", RowRules("exclude", "org_id", ("1",)))
    assert "IN ('1')" in found
    assert "coalesce" not in found


def test_each_table_is_described_once() -> None:
    described: list[str] = []

    def note(tables: Sequence[ast.Table]) -> list[Facts]:
        described.extend(table.parts[-1].key for table in tables)
        return [Facts() for _ in tables]

    statement = "SELECT * FROM account, ACCOUNT b, invoice, (TABLE account) c"
    node = read(statement).node
    assert isinstance(node, ast.Query)
    assert restricted(statement, node, EXCLUDE, note).text == statement
    assert sorted(described) == ["account", "invoice"]


def test_a_condition_of_the_engine_is_preserved() -> None:
    statement = "SELECT * FROM information_schema.tables"
    node = read(statement).node
    assert isinstance(node, ast.Query)
    found = restricted(statement, node, EXCLUDE, lambda _: [Facts({}, "table_schema = 's'")])
    assert "(SELECT * FROM information_schema.tables WHERE table_schema = 's') AS tables" in (
        found.text
    )


def test_positions_refer_to_the_statement_as_submitted() -> None:
    statement = "SELECT id,\n nothing FROM account,\n  invoice WHERE wrong = 1"
    found = rewritten(statement)
    for word in ("nothing", "wrong", "SELECT id"):
        before = statement[: statement.index(word)]
        rewritten_before = found.text[: found.text.index(word)]
        line = rewritten_before.count("\n") + 1
        column = len(rewritten_before) - rewritten_before.rfind("\n")
        expected = SourcePosition(before.count("\n") + 1, len(before) - before.rfind("\n"))
        assert found.position(line, column) == expected


def test_a_position_in_an_addition_is_that_of_the_table() -> None:
    found = rewritten("SELECT 1 FROM\n  account")
    column = found.text.split("\n")[1].index("coalesce") + 1
    assert found.position(2, column) == SourcePosition(2, 3)


def test_a_chain_of_joins_may_be_long() -> None:
    statement = "SELECT 1 FROM " + ", ".join(["account"] * 3000)
    assert text(statement).count(ACCOUNT) == 3000


def test_a_sample_of_a_table_is_refused() -> None:
    with pytest.raises(RunFailed) as refused:
        text("SELECT * FROM account TABLESAMPLE BERNOULLI (10)")
    assert refused.value.failure.code is FailureCode.NOT_SUPPORTED


@pytest.mark.parametrize(
    "body",
    [
        "RETURN (SELECT count(*) FROM other.account)",
        "RETURN EXISTS (SELECT 1 FROM account)",
        "RETURN if(1 IN (SELECT id FROM account), 1, 2)",
        "BEGIN DECLARE n bigint DEFAULT (SELECT 1 FROM account); RETURN n; END",
        "BEGIN IF 1 = ANY (SELECT id FROM account) THEN RETURN 1; END IF; RETURN 2; END",
        "BEGIN DECLARE n bigint; WHILE n < 2 DO SET n = (SELECT 1 FROM account); END WHILE; "
        "RETURN n; END",
        "RETURN reduce(ARRAY[1], 0, (s, x) -> s + (SELECT count(*) FROM account), s -> s)",
    ],
)
def test_no_table_is_read_by_a_function_of_the_statement(body: str) -> None:
    """Not even where no rule restricts: names of tables are looked for in queries alone."""
    for rules in (EXCLUDE, RowRules("include")):
        with pytest.raises(RunFailed) as raised:
            rewritten(f"WITH FUNCTION f() RETURNS bigint {body} SELECT f()", rules)
        assert raised.value.failure.code is FailureCode.TYPE_MISMATCH
        assert raised.value.failure.message == "Queries are not allowed in functions"


def test_functions_without_queries_stand_as_they_were_written() -> None:
    function = "WITH FUNCTION f(x bigint) RETURNS bigint RETURN x + 1 "
    assert text(f"{function}SELECT f(id) FROM account") == f"{function}SELECT f(id) FROM {ACCOUNT}"
