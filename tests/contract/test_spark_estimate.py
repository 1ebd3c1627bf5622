"""What a dry run says of a source on Spark: Spark's own statistics, and nothing without them."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from queryrun.engines.base import EngineLimits, EngineUsage, RowFilter
from queryrun.engines.estimates import Certainty, TableEstimate
from queryrun.engines.spark.estimate import SparkEstimator, open_estimator
from queryrun.engines.spark.session import open_session
from queryrun.errors import FailureCode, RunFailed
from tests.spark_server import SparkServer, sql

SCHEMA = f"estimate_{uuid4().hex[:8]}"
EVERYTHING = RowFilter("include")


@pytest.fixture(scope="module")
def options(spark_server: SparkServer) -> dict[str, str]:
    """Of a schema with a table that was analyzed, a partitioned one, and one of orgs."""
    sql(
        spark_server,
        f"CREATE SCHEMA {SCHEMA}",
        f"CREATE TABLE {SCHEMA}.counted USING parquet AS SELECT id, id * 2 AS b FROM range(1000)",
        f"ANALYZE TABLE {SCHEMA}.counted COMPUTE STATISTICS",
        f"CREATE TABLE {SCHEMA}.parted USING parquet PARTITIONED BY (d) AS "
        "SELECT id, id % 4 AS d FROM range(1000)",
        f"CREATE TABLE {SCHEMA}.plain USING parquet AS SELECT id, 'a' AS org FROM range(10)",
    )
    return {"url": spark_server.url, "schema": SCHEMA, "user": "ann"}


@pytest.fixture(scope="module", params=["trino", "native"])
def estimator(options: dict[str, str], request: pytest.FixtureRequest) -> SparkEstimator:
    """In both dialects."""
    return open_estimator({**options, "dialect": request.param}, None, "/nowhere", "UTC")


def test_sparks_statistics_are_told_as_an_estimate(estimator: SparkEstimator) -> None:
    found = estimator.estimate("SELECT b AS x FROM counted WHERE id < 5", EVERYTHING)
    assert found.columns == (("x", "bigint"),)
    (table,) = found.tables
    assert (table.name, table.read_rows, table.certainty) == ("counted", 1000, Certainty.ESTIMATED)
    assert set(table.columns or ()) == {"id", "b"}
    assert (found.read_bytes or 0) > 1000


def test_a_table_that_is_read_twice_counts_twice(estimator: SparkEstimator) -> None:
    once = estimator.estimate("SELECT id FROM plain", EVERYTHING)
    twice = estimator.estimate(
        "SELECT a.id FROM plain a JOIN plain b ON a.id = b.id CROSS JOIN counted", EVERYTHING
    )
    (found,) = [one for one in twice.tables if one.name == "plain"]
    assert once.read_bytes
    assert found.read_bytes == 2 * once.read_bytes


def test_bytes_are_those_of_the_partitions_that_are_left(estimator: SparkEstimator) -> None:
    found = [
        estimator.estimate(f"SELECT id FROM parted WHERE d {which}", EVERYTHING).read_bytes or 0
        for which in ("= 3", "IN (1, 3)")
    ]
    assert 0 < found[0] < found[1]


def test_what_spark_does_not_know_is_unknown(estimator: SparkEstimator) -> None:
    found = estimator.estimate("SELECT id FROM parted", EVERYTHING)
    assert (found.certainty, found.read_bytes) == (Certainty.UNKNOWN, None)


def test_a_statement_without_tables_reads_nothing(estimator: SparkEstimator) -> None:
    found = estimator.estimate("SELECT 1 AS a", EVERYTHING)
    assert (found.read_bytes, found.certainty) == (0, Certainty.EXACT)


def test_a_client_of_orgs_is_told_nothing_of_hidden_rows(estimator: SparkEstimator) -> None:
    found = estimator.estimate("SELECT id FROM plain", RowFilter("include", "org", ("a",)))
    assert found.tables == (TableEstimate("plain"),)


def test_a_statement_fails_as_its_run_would(estimator: SparkEstimator) -> None:
    with pytest.raises(RunFailed) as failed:
        estimator.estimate("SELECT nope FROM plain", EVERYTHING)
    assert failed.value.failure.code is FailureCode.NAME_NOT_FOUND


def test_sparks_count_of_what_was_read_is_the_usage(
    options: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = EngineLimits(256 * 1024**2, 1, str(tmp_path_factory.mktemp("spill")), 0)
    session = open_session({**options, "dialect": "trino"}, limits)
    try:
        rows = session.plan("SELECT a.b FROM counted a JOIN plain p ON p.id = a.id", EVERYTHING)
        assert session.usage() == EngineUsage()
        rows.connection.execute(rows.relation).fetchall()
        used = session.usage()
    finally:
        session.close()
    assert [(one.name, one.read_rows) for one in used.tables] == [("counted", 1000), ("plain", 10)]
    sizes = [one.read_bytes or 0 for one in used.tables]
    assert min(sizes) > 100
    assert (used.read_bytes, used.read_rows, used.spilled_bytes) == (sum(sizes), 1010, 0)


def test_explain_type_io_has_trinos_shape(
    options: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = EngineLimits(256 * 1024**2, 1, str(tmp_path_factory.mktemp("spill")), 0)
    session = open_session({**options, "dialect": "trino"}, limits)
    try:
        statement = "EXPLAIN (TYPE IO) SELECT id FROM counted JOIN parted USING (id)"
        rows = session.plan(statement, EVERYTHING)
        (text,) = rows.connection.execute(rows.relation).fetchall()[0]
    finally:
        session.close()
    found = {
        one["table"]["schemaTable"]["table"]: one["estimate"]["outputRowCount"]
        for one in json.loads(text)["inputTableColumnInfos"]
    }
    assert found == {"counted": 1000.0, "parted": "NaN"}
    assert [column.name for column in rows.columns] == ["Query Plan"]
