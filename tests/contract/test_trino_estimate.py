"""What a dry run says of a source on Trino: Trino's statistics, and nothing where it has none."""

from __future__ import annotations

import json

import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.estimates import Certainty, TableEstimate
from queryrun.engines.trino.estimate import TrinoEstimator, open_estimator
from queryrun.engines.trino.session import open_session
from queryrun.errors import FailureCode, RunFailed
from tests.trino_server import TrinoServer

pytestmark = pytest.mark.timeout(300)

EVERYTHING = RowFilter("include")


@pytest.fixture(scope="module")
def schema(trino_server: TrinoServer) -> str:
    """Two tables, of which Trino counts rows and bytes."""
    name = trino_server.new_schema()
    numbers = "UNNEST(sequence(1, 1000)) AS t (n)"
    trino_server.make(
        f"CREATE TABLE memory.{name}.big AS SELECT n AS id, n % 7 AS k FROM {numbers}"
    )
    trino_server.make(f"CREATE TABLE memory.{name}.small AS SELECT BIGINT '1' AS id, 'a' AS org")
    return name


@pytest.fixture(scope="module")
def estimator(trino_server: TrinoServer, schema: str) -> TrinoEstimator:
    """Of the schema."""
    return open_estimator(trino_server.options(schema=schema), None, "/nowhere", "UTC")


def by_name(tables: tuple[TableEstimate, ...]) -> dict[str, TableEstimate]:
    return {one.name: one for one in tables}


def test_trinos_statistics_are_told_as_an_estimate(estimator: TrinoEstimator) -> None:
    found = estimator.estimate("SELECT id, count(*) AS n FROM big GROUP BY id;", EVERYTHING)
    assert found.columns == (("id", "bigint"), ("n", "bigint"))
    (table,) = found.tables
    assert (table.name, table.columns, table.read_rows) == ("big", None, 1000)
    assert (table.certainty, found.certainty) == (Certainty.ESTIMATED, Certainty.ESTIMATED)
    assert found.read_bytes is not None
    assert found.read_bytes >= 8000


def test_a_statement_with_a_function_of_its_own_is_planned(estimator: TrinoEstimator) -> None:
    sql = "WITH FUNCTION f(x bigint) RETURNS bigint RETURN x + 1 SELECT f(id) AS a, k FROM big"
    found = estimator.estimate(sql, EVERYTHING)
    assert found.columns == (("a", "bigint"), ("k", "bigint"))
    assert [one.name for one in found.tables] == ["big"]


def test_a_table_that_is_read_twice_counts_twice(estimator: TrinoEstimator) -> None:
    sql = "SELECT count(*) FROM big AS a JOIN big AS b ON a.id = b.id CROSS JOIN small"
    found = by_name(estimator.estimate(sql, EVERYTHING).tables)
    assert (found["big"].read_rows, found["small"].read_rows) == (2000, 1)


def test_what_trino_does_not_know_is_unknown(estimator: TrinoEstimator) -> None:
    sql = "SELECT table_name FROM information_schema.tables"
    found = estimator.estimate(sql, EVERYTHING)
    assert (found.certainty, found.read_rows, found.read_bytes) == (Certainty.UNKNOWN, None, None)


def test_a_client_of_orgs_is_told_nothing_of_hidden_rows(estimator: TrinoEstimator) -> None:
    found = estimator.estimate("SELECT id FROM small", RowFilter("include", "org", ("a",)))
    assert found.columns == (("id", "bigint"),)
    assert found.tables == (TableEstimate("small"),)


@pytest.mark.parametrize(
    ("sql", "code", "line", "column"),
    [
        ("SELECT\n nope FROM big", FailureCode.NAME_NOT_FOUND, 2, 2),
        ("SELECT id FROM gone", FailureCode.NAME_NOT_FOUND, 1, 16),
        ("SELECT id FROM", FailureCode.SYNTAX_ERROR, 1, 15),
    ],
)
def test_a_statement_fails_as_its_run_would(
    estimator: TrinoEstimator, sql: str, code: FailureCode, line: int, column: int
) -> None:
    with pytest.raises(RunFailed) as failed:
        estimator.estimate(sql, EVERYTHING)
    found = failed.value.failure
    assert (found.code, found.line, found.column) == (code, line, column)


def test_metadata_and_plans_read_no_table_and_are_not_run(estimator: TrinoEstimator) -> None:
    assert estimator.estimate("SHOW TABLES", EVERYTHING).columns == (("Table", "varchar"),)
    found = estimator.estimate("EXPLAIN ANALYZE SELECT id FROM big", EVERYTHING)
    assert (found.columns, found.certainty) == ((("Query Plan", "varchar"),), Certainty.UNKNOWN)


def test_explain_type_io_is_trinos_own(
    trino_server: TrinoServer, schema: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spill_dir = str(tmp_path_factory.mktemp("spill"))
    limits = EngineLimits(256 * 1024**2, 1, spill_dir, 0)
    session = open_session(trino_server.options(schema=schema), limits)
    try:
        rows = session.plan("EXPLAIN (TYPE IO, FORMAT JSON) SELECT id FROM big", EVERYTHING)
        (text,) = rows.connection.execute(rows.relation).fetchall()[0]
    finally:
        session.close()
    (entry,) = json.loads(text)["inputTableColumnInfos"]
    assert entry["table"]["schemaTable"] == {"schema": schema, "table": "big"}
    assert entry["estimate"]["outputRowCount"] == 1000.0
