"""A source speaks Trino's SQL: guard, translation, metadata, deleted rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from tests.e2e.conftest import Server, ServerHarness

Serve = Callable[..., Server]
TRINO = {
    "QUERYRUN_SOURCES__LIVE__DIALECT": "trino",
    "QUERYRUN_SOURCES__LIVE__MARKS_DELETED": "true",
}
EVERYTHING = {**TRINO, "QUERYRUN_STATEMENTS": "explain, schemas"}


@pytest.fixture
def server(harness: ServerHarness, serve: Serve) -> Server:
    """A server over two tables that mark deleted rows, in Trino's dialect."""
    write_tables(harness)
    return serve(TRINO)


def write_tables(harness: ServerHarness) -> None:
    """Two tables that mark deleted rows."""
    with duckdb.connect(":memory:") as writer:
        for name, query in (
            ("account", "SELECT i AS id, 'A' || i AS accountnumber, i % 3 = 0 AS deleted, "
             "CAST(i * 1.5 AS DECIMAL(18,6)) AS balance FROM range(1, 7) t(i)"),
            ("invoice", "SELECT i AS id, i % 6 + 1 AS accountid, i % 4 = 0 AS deleted "
             "FROM range(12) t(i)"),
        ):  # fmt: skip
            writer.execute(f"COPY ({query}) TO '{harness.made.data_dir / name}.parquet'")


def rows_of(server: Server, sql: str, **more: Any) -> list[list[str]]:
    """The rows of a statement's CSV file, the header first."""
    run = server.finished(server.submit(sql, **more)["id"])
    assert run["state"] == "complete", run
    return list(csv.reader(io.StringIO(server.file_text(run))))


def error(server: Server, sql: str) -> tuple[str, int | None, int | None]:
    """How a statement's run failed: code, line, column."""
    run = server.finished(server.submit(sql)["id"])
    assert run["state"] == "failed", run
    return run["error"]["code"], run["error"].get("line"), run["error"].get("column")


def test_functions_of_the_worker_run_within_its_walls(server: Server) -> None:
    sql = (
        "SELECT soundex('Ashcraft') AS s, CAST(2e23 AS varchar) AS d, from_base('ff', 16) AS b, "
        "INTERVAL '2 3' DAY TO HOUR AS i, TIME '10:11:12' AS t, "
        "json_format(CAST(ROW(id) AS JSON)) AS j FROM account WHERE id = 1"
    )
    row = ["A261", "1.9999999999999998E23", "255", "2 03:00:00.000", "10:11:12", '{"":1}']
    assert rows_of(server, sql) == [["s", "d", "b", "i", "t", "j"], row]
    assert error(server, "SELECT luhn_check('12a')") == ("invalid_value", None, None)
    assert error(server, "SELECT json_array_get('[\"a\"]', 0)") == ("not_supported", None, None)


def test_numbers_and_dates_follow_trino(server: Server) -> None:
    sql = "SELECT 7 / 2 AS n, date_diff('month', DATE '2020-01-31', DATE '2020-02-29') AS m;"
    assert rows_of(server, sql) == [["n", "m"], ["3", "1"]]


def test_metadata_has_trinos_columns_and_types(server: Server) -> None:
    assert rows_of(server, "SHOW TABLES") == [["Table"], ["account"], ["invoice"]]
    described = rows_of(server, "DESCRIBE account")
    assert described[0] == ["Column", "Type", "Extra", "Comment"]
    assert ["balance", "decimal(18,6)", "", ""] in described
    functions = rows_of(server, "SHOW FUNCTIONS LIKE 'date_diff'")
    assert functions[0][:4] == ["Function", "Return Type", "Argument Types", "Function Type"]
    assert functions[1][0] == "date_diff"


def test_deleted_rows_are_hidden_unless_requested(server: Server) -> None:
    count = "SELECT count(*) AS n FROM account"
    assert rows_of(server, count)[1] == ["4"]
    assert rows_of(server, count, read_deleted=True)[1] == ["6"]


def test_selecting_the_deleted_column_includes_deleted_rows_of_that_table_only(
    server: Server,
) -> None:
    assert len(rows_of(server, "SELECT id, deleted FROM account")) == 7
    sql = "SELECT a.deleted, i.id FROM account a JOIN invoice i ON i.accountid = a.id"
    rows = rows_of(server, sql)[1:]
    assert {row[0] for row in rows} == {"true", "false"}
    assert not {int(row[1]) for row in rows} & {0, 4, 8}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM account",
        "SELECT * FROM (SELECT id FROM account)",
        "WITH a AS (SELECT id FROM account) SELECT * FROM a",
        "SELECT id FROM account WHERE id IN (SELECT id FROM account)",
        "SELECT a.id FROM account a CROSS JOIN (VALUES 1) v(x)",
        "SELECT id FROM account UNION SELECT id FROM account",
    ],
)
def test_deleted_rows_are_hidden_wherever_the_table_is_named(server: Server, sql: str) -> None:
    assert len(rows_of(server, sql)) == 5


def test_errors_have_their_position_in_the_statement_as_submitted(server: Server) -> None:
    assert error(server, "SELECT id,\n  acountnumber FROM account") == ("name_not_found", 2, 3)
    assert error(server, "SELECT id FROM\n acount") == ("name_not_found", 2, 2)
    assert error(server, "SELECT id FROM account WHERE id = 'x'") == ("type_mismatch", 1, 33)
    assert error(server, "SELECT id\nFORM account x") == ("syntax_error", 2, 6)
    assert error(server, "SELECT shuffle(ARRAY[id]) FROM account") == (
        "not_supported",
        1,
        8,
    )


def test_an_error_about_a_wrong_name_suggests_a_similar_one(server: Server) -> None:
    run = server.finished(server.submit("SELECT acountnumber FROM account")["id"])
    assert "Did you mean 'accountnumber'?" in run["error"]["message"]


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM account", "SELECT 1; SELECT 2", "WITH a AS (DELETE FROM account) SELECT 1"],
)
def test_writes_and_several_statements_are_refused_at_submit(server: Server, sql: str) -> None:
    refused = server.http.post("/v2/query_runs", json={"sql": sql, "content_type": "csv"})
    assert refused.status_code == 400


def test_functions_of_the_engine_do_not_exist(server: Server) -> None:
    assert error(server, "SELECT * FROM read_csv('/etc/passwd')")[0] == "syntax_error"
    assert error(server, "SELECT getenv('HOME')")[0] == "name_not_found"
    assert error(server, "SELECT * FROM duckdb_settings")[0] == "name_not_found"


# --- statements beyond the contract's -----------------------------------------------------------


@pytest.mark.parametrize("sql", ["VALUES 1", "EXPLAIN SELECT 1", "SHOW SCHEMAS", "SHOW CATALOGS"])
def test_statements_that_the_contract_does_not_name_are_off(server: Server, sql: str) -> None:
    """Off unless the setting `statements` allows them (contract H9)."""
    refused = server.http.post("/v2/query_runs", json={"sql": sql, "content_type": "csv"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["parameter"] == "sql"
    assert "(line 1, column 1)" in refused.json()["errors"][0]["message"]


def test_the_setting_allows_single_kinds_of_statement(harness: ServerHarness, serve: Serve) -> None:
    write_tables(harness)
    server = serve(EVERYTHING)
    assert rows_of(server, "SHOW SCHEMAS")[1:] == [["data"], ["information_schema"]]
    assert rows_of(server, "EXPLAIN (TYPE VALIDATE) SELECT id FROM account") == [
        ["Valid"],
        ["true"],
    ]
    ((heading,), (plan,)) = rows_of(server, "EXPLAIN ANALYZE SELECT id FROM account")
    assert heading == "Query Plan"
    assert "READ_PARQUET" in plan
    assert str(harness.made.data_dir) not in plan
    refused = server.http.post("/v2/query_runs", json={"sql": "VALUES 1", "content_type": "csv"})
    assert refused.status_code == 400


# --- tables as JSON -----------------------------------------------------------------------------


def test_tables_are_listed_without_a_run(server: Server) -> None:
    tables = {one["name"]: one["columns"] for one in server.http.get("/v2/tables").json()["data"]}
    balance = {"name": "balance", "type": "decimal(18,6)", "extra": "", "comment": ""}
    assert balance in tables["account"]
    assert server.http.get("/v2/tables/invoice").json()["columns"] == tables["invoice"]
    assert server.http.get("/v2/tables/nowhere").status_code == 404
    assert server.http.get("/v2/query_runs").json()["data"] == []
