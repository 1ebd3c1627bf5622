"""Names, deleted rows and refusals in translations; what they compute is judged by a real Trino."""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode
from queryrun.sql.compile.reading import read
from queryrun.sql.compile.scope import TableColumn
from queryrun.sql.compile.types import BIGINT
from queryrun.sql.duckdb.translate import Request, translate
from tests.unit.sql.trino.translation import SCHEMA, failure, headings, translated


def test_a_column_is_called_what_the_statement_calls_it() -> None:
    """Names of result columns (contract F2)."""
    sql = 'SELECT ID, Id AS Mine, id AS "Yours", id + 1 FROM Account'
    assert headings(sql) == ["ID", "Mine", "Yours", "_col3"]
    assert headings("SELECT * FROM invoice") == ["id", "accountid", "deleted"]


@pytest.mark.parametrize("prefix", ["", "live.", "revenuelive.", "owl.data."])
def test_a_table_may_have_a_schema_in_front(prefix: str) -> None:
    """There is only one schema (contract F2)."""
    assert '"account"' in translated(f"SELECT id FROM {prefix}account")


@pytest.mark.parametrize(
    ("statement", "code", "position"),
    [
        ("SELECT nothing FROM account", FailureCode.NAME_NOT_FOUND, (1, 8)),
        ("SELECT id\nFROM nowhere", FailureCode.NAME_NOT_FOUND, (2, 6)),
        ("SELECT a.nothing FROM account a", FailureCode.NAME_NOT_FOUND, (1, 8)),
        ("SELECT nofunction(1)", FailureCode.NAME_NOT_FOUND, (1, 8)),
        ("SELECT id\n  = 'x' FROM account", FailureCode.TYPE_MISMATCH, (2, 3)),
        ("SELECT id FROM account, invoice", FailureCode.AMBIGUOUS_NAME, (1, 8)),
        ("SELECT upper(id) FROM account", FailureCode.TYPE_MISMATCH, (1, 8)),
        ("SELECT 1 FROM account WHERE id", FailureCode.TYPE_MISMATCH, (1, 29)),
        ("SELECT 'é', shuffle(1)", FailureCode.NOT_SUPPORTED, (1, 13)),
        ("SELECT *\nFROM account NATURAL JOIN account", FailureCode.NOT_SUPPORTED, (2, 14)),
        ("SELECT DATE '2020-01-01' + INTERVAL 'x' DAY", FailureCode.INVALID_VALUE, (1, 28)),
        ("SELECT 1 +", FailureCode.SYNTAX_ERROR, (1, 11)),
        ("SELECT (1", FailureCode.SYNTAX_ERROR, (1, 10)),
        ("SELECT 'x", FailureCode.SYNTAX_ERROR, (1, 8)),
    ],
)
def test_errors_have_a_code_and_a_position(
    statement: str, code: FailureCode, position: tuple[int, int]
) -> None:
    found = failure(statement)
    assert (found.code, found.line, found.column) == (code, *position)


@pytest.mark.parametrize(
    ("statement", "guess"),
    [
        ("SELECT acountnumber FROM account", "'accountnumber'"),
        ("SELECT 1 FROM acount", "'account'"),
        ("SELECT lenght('x')", "'length'"),
    ],
)
def test_wrong_names_get_a_suggestion(statement: str, guess: str) -> None:
    assert f"Did you mean {guess}" in failure(statement).message


def test_error_texts_that_users_know() -> None:
    """Connectors search for them (contract F10)."""
    assert "Column 'x' cannot be resolved" in failure("SELECT x FROM account").message
    assert "Table 'x' does not exist" in failure("SELECT 1 FROM x").message


HIDDEN = 'WHERE NOT coalesce("deleted", false)'


def test_deleted_rows_are_hidden_by_default() -> None:
    assert HIDDEN in translated("SELECT id FROM account")
    assert HIDDEN in translated("SELECT * FROM account")
    assert HIDDEN not in translated("SELECT id FROM account", "include")
    assert 'WHERE coalesce("deleted", false)' in translated("SELECT id FROM account", "only")


@pytest.mark.parametrize("deleted", ["exclude", "only"])
@pytest.mark.parametrize(
    "statement",
    ["SELECT deleted FROM account", "SELECT a.deleted AS d, id FROM account AS a"],
)
def test_selecting_the_mark_shows_both_kinds(statement: str, deleted: str) -> None:
    """The column `deleted` in a select list (contract F3)."""
    assert 'coalesce("deleted"' not in translated(statement, deleted)


def test_the_mark_of_one_table_does_not_affect_another() -> None:
    sql = translated("SELECT a.deleted FROM account a JOIN invoice i ON i.accountid = a.id")
    assert sql.count(HIDDEN) == 1


def test_the_mark_in_a_condition_is_not_selected() -> None:
    assert HIDDEN in translated("SELECT id FROM account WHERE deleted")


def test_tables_without_the_mark_are_read_as_they_are() -> None:
    assert "WHERE" not in translated("SELECT big FROM odd")


def test_types_that_trino_lacks_are_cast_or_refused() -> None:
    schema = {"odd": [SCHEMA["odd"][0]]}
    sql, _ = translate(read("SELECT big FROM odd"), schema, Request())
    assert '* REPLACE (CAST("big" AS DECIMAL(38,0)) AS "big")' in sql
    refused = failure("SELECT * FROM odd")
    assert refused.code is FailureCode.NOT_SUPPORTED
    assert "bits" in refused.message


def test_names_and_literals_are_quoted() -> None:
    sql = translated("SELECT 'it''s' AS \"a\"\"b\" FROM account")
    assert "'it''s' AS \"a\"\"b\"" in sql


def test_nested_calls_grow_in_proportion_to_their_depth() -> None:
    """An argument that a template needs twice is named once: thirty levels were a gigabyte."""
    lengths = {
        depth: len(translated("SELECT " + "sqrt(" * depth + "1" + ")" * depth))
        for depth in (5, 10, 30)
    }
    per_level = (lengths[10] - lengths[5]) / 5
    assert lengths[30] < lengths[5] + 2 * 25 * per_level


@pytest.mark.slow
def test_a_chain_without_end_is_refused() -> None:
    assert failure("SELECT " + "1+" * 100_000 + "1").code is FailureCode.NOT_SUPPORTED


@pytest.mark.slow
def test_a_long_chain_of_ors_is_translated() -> None:
    sql = "SELECT 1 FROM account WHERE " + " OR ".join(f"id = {n}" for n in range(20_000))
    assert translated(sql).count(" OR ") == 19_999


def test_what_a_statement_needs_is_known_before_its_translation() -> None:
    needs = read("WITH w AS (SELECT 1 FROM a) SELECT (SELECT 1 FROM b) FROM live.c, w").needs
    assert needs.tables == {"a", "b", "c", "w"}
    assert not needs.every_table
    assert read("SHOW TABLES").needs.every_table


def test_a_table_called_like_a_common_table_expression_is_shadowed() -> None:
    schema = {"w": [TableColumn("id", BIGINT)]}
    sql, _ = translate(read("WITH w AS (SELECT 1 AS x) SELECT x FROM w"), schema, Request())
    assert '"w"' not in sql


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuch.data.account", "Catalog 'nosuch' not found"),
        ("owl.nosuch.account", "Schema 'nosuch' does not exist"),
        ("nosuch.account", "Schema 'nosuch' does not exist"),
        ("nosuch.information_schema.tables", "Catalog 'nosuch' not found"),
    ],
)
def test_a_catalog_or_schema_that_is_not_there_is_named(name: str, words: str) -> None:
    found = failure(f"SELECT * FROM {name}")
    assert (found.code, found.message) == (FailureCode.NAME_NOT_FOUND, words)


def test_an_overload_that_is_not_built_is_refused_and_a_wrong_one_is_told_what_there_is() -> None:
    not_built = failure("SELECT from_hex(to_utf8('00'))")
    wrong = failure("SELECT sum(accountnumber) FROM account")
    assert not_built.code is FailureCode.NOT_SUPPORTED
    assert wrong.code is FailureCode.TYPE_MISMATCH
    assert "Expected: sum(" in wrong.message
