"""What an estimate says a statement will read, against what DuckDB then counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.engines.base import EngineLimits, EngineUsage, RowFilter
from queryrun.engines.duckdb.estimate import DuckDBEstimator
from queryrun.engines.duckdb.parquet_calls import marked, parquet_calls
from queryrun.engines.duckdb.plan_scans import scans_of
from queryrun.engines.duckdb.session import open_session
from queryrun.engines.estimates import Certainty, StatementEstimate, TableEstimate
from queryrun.errors import FailureCode, RunFailed

SMALL = "ROW_GROUP_SIZE 10000"
ALL_ROWS = RowFilter(marks_deleted=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of one file, one of two with row groups, one with partitions, and a CSV file."""
    root = tmp_path_factory.mktemp("estimate")
    big = (
        "SELECT i AS id, i % 100 AS k, random() AS r, 'text' || i AS t, "
        "DATE '2024-01-01' + (i // 1000)::INTEGER AS d, (i * 1.25)::DECIMAL(12, 2) AS price, "
        "CASE WHEN i < 60000 THEN i END AS half, {'a': i, 'b': 'x'} AS s FROM range({}) x(i)"
    )
    duckdb.sql(
        f"COPY ({big.replace('range({})', 'range(100000)')}) TO '{root}/one.parquet' ({SMALL})"
    )
    (root / "two").mkdir()
    for number, start in enumerate((0, 50_000)):
        rows = f"SELECT i AS id, i % 7 AS k FROM range({start}, {start + 50_000}) x(i)"
        duckdb.sql(f"COPY ({rows}) TO '{root}/two/{number}.parquet' ({SMALL})")
    for month in (1, 2, 3):
        path = root / "parts" / "year=2024" / f"month={month}"
        path.mkdir(parents=True)
        duckdb.sql(
            f"COPY (SELECT i AS id, i % 5 AS k FROM range(20000) x(i)) TO '{path}/a.parquet'"
        )
    (root / "names.csv").write_text("id,name\n1,a\n2,b\n", encoding="utf-8")
    return root


def tables_of_plan(text: str) -> dict[str, tuple[object, object]]:
    """The rows and bytes of each table in what EXPLAIN (TYPE IO) returns."""
    return {
        one["table"]["schemaTable"]["table"]: (
            one["estimate"]["outputRowCount"],
            one["estimate"]["outputSizeInBytes"],
        )
        for one in json.loads(text)["inputTableColumnInfos"]
    }


class Engine:
    """An estimator and a session over the same data."""

    def __init__(self, data: Path, work: Path) -> None:
        self._options = {"data_dir": str(data), "dialect": "trino"}
        (work / "estimate").mkdir()
        (work / "spill").mkdir()
        limits = EngineLimits(2**28, 1, str(work / "estimate"), 0)
        self._estimator = DuckDBEstimator(self._options, limits, "UTC")
        self._limits = EngineLimits(2**30, 2, str(work / "spill"), 2**30)

    def estimate(self, sql: str, row_filter: RowFilter = ALL_ROWS) -> StatementEstimate:
        """Before it runs."""
        return self._estimator.estimate(sql, row_filter)

    def usage(self, sql: str) -> EngineUsage:
        """After it has run."""
        session = open_session(self._options, self._limits)
        try:
            rows = session.plan(sql, ALL_ROWS)
            rows.connection.execute(rows.relation).fetchall()
            return session.usage()
        finally:
            session.close()

    def io_plan(self, sql: str) -> str:
        """What EXPLAIN (TYPE IO) returns."""
        session = open_session(self._options, self._limits)
        try:
            rows = session.plan(f"EXPLAIN (TYPE IO) {sql}", ALL_ROWS)
            (text,) = rows.connection.execute(rows.relation).fetchall()[0]
            return str(text)
        finally:
            session.close()

    def close(self) -> None:
        """Close the estimator."""
        self._estimator.close()


@pytest.fixture
def engine(data: Path, tmp_path: Path) -> Iterator[Engine]:
    opened = Engine(data, tmp_path)
    yield opened
    opened.close()


def only(estimate: StatementEstimate) -> TableEstimate:
    """Its one table."""
    (table,) = estimate.tables
    return table


def test_what_was_read_is_told_by_table(engine: Engine) -> None:
    sql = "SELECT one.t FROM one JOIN two ON one.id = two.id JOIN names ON names.id = one.id"
    used = engine.usage(sql)
    assert [one.name for one in used.tables] == ["names", "one", "two"]
    assert sum(one.read_bytes or 0 for one in used.tables) == used.read_bytes
    assert sum(one.read_rows or 0 for one in used.tables) == used.read_rows


def test_a_table_that_is_read_twice_is_told_once(engine: Engine) -> None:
    once, twice = (
        engine.usage("SELECT sum(k) FROM two"),
        engine.usage("SELECT sum(k) FROM (SELECT k FROM two UNION ALL SELECT id FROM two)"),
    )
    assert [one.name for one in twice.tables] == ["two"]
    assert twice.tables[0].read_rows == 2 * (once.tables[0].read_rows or 0) == 200_000
    assert engine.usage("SELECT 1 AS a").tables == ()


def test_explain_type_io_says_what_a_dry_run_says(engine: Engine) -> None:
    sql = "SELECT one.t FROM one JOIN two ON one.id = two.id JOIN names ON names.id = one.id"
    known = {
        one.name: (
            "NaN" if one.read_rows is None else one.read_rows,
            "NaN" if one.read_bytes is None else one.read_bytes,
        )
        for one in engine.estimate(sql).tables
    }
    assert tables_of_plan(engine.io_plan(sql)) == known
    assert tables_of_plan(engine.io_plan("SELECT id FROM two")) == {
        "two": (100_000, engine.usage("SELECT id FROM two").read_bytes)
    }


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM one",
        "SELECT sum(r) FROM one",
        "SELECT s FROM one",
        "SELECT s.a FROM one",
        "SELECT k, count(*) FROM two GROUP BY k",
        "SELECT count(*) FROM two",
        "SELECT id FROM two UNION ALL SELECT id FROM one",
        "SELECT max(id), max(k) FROM parts",
        "WITH x AS (SELECT id FROM one) SELECT count(id) FROM x",
    ],
)
def test_without_filters_an_estimate_is_exact(engine: Engine, sql: str) -> None:
    found = engine.estimate(sql)
    assert found.read_bytes == engine.usage(sql).read_bytes
    assert found.certainty is Certainty.EXACT


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, r FROM one WHERE id < 25000",
        "SELECT r FROM one WHERE id BETWEEN 42000 AND 57000 AND k >= 0",
        "SELECT r FROM one WHERE d >= DATE '2024-03-01'",
        "SELECT r FROM one WHERE price > DECIMAL '99000.50'",
        "SELECT r FROM one WHERE id IN (5, 99999)",
        "SELECT r FROM one WHERE half IS NULL",
        "SELECT r FROM one WHERE half IS NOT NULL",
        "SELECT r FROM one WHERE id < 5000 OR id > 95000",
        "SELECT r FROM one WHERE 30000 > id",
        "SELECT t FROM one WHERE t LIKE 'text99%'",
        "SELECT k FROM two WHERE id >= 60000",
        "SELECT k FROM parts WHERE month = 2",
        "SELECT k FROM parts WHERE month IN (1, 3) AND id < 100",
        "SELECT k, month FROM parts WHERE year = 2024",
        "SELECT k FROM parts WHERE month > 7",
        "SELECT k FROM parts WHERE year = 2024 AND month = 3",
        "SELECT k FROM parts WHERE month BETWEEN 2 AND 3 AND year <> 2023 AND id >= 0",
        "SELECT k FROM parts WHERE month + 1 = 3 AND year IN (2024, 2025)",
        "SELECT k FROM parts WHERE CAST(month AS varchar) LIKE '2%' AND year = 2024",
        "SELECT sum(s.a) FROM one WHERE s.a < 5000",
        "SELECT r FROM one WHERE s.a BETWEEN 20000 AND 30000 AND s.b = 'x'",
        "SELECT s.b FROM one WHERE s.a IS NULL",
        "SELECT s.b FROM one WHERE s.A >= 95000 OR s.a = 7",
        "SELECT r FROM one WHERE id < 0",
        "SELECT o.r, t.k FROM one o JOIN two t ON o.id = t.id",
    ],
)
def test_with_filters_an_estimate_is_what_is_read_and_says_upper_bound(
    engine: Engine, sql: str
) -> None:
    found, read = engine.estimate(sql).read_bytes, engine.usage(sql).read_bytes
    assert found is not None
    assert read is not None
    assert abs(found - read) <= 0.05 * read, (found, read)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM one LIMIT 5",
        "SELECT * FROM one ORDER BY id LIMIT 5",
        "SELECT o.r FROM one o JOIN two t ON o.id = t.id WHERE t.k = 3 AND t.id < 10",
        "SELECT r FROM one WHERE lower(t) = 'text5'",
        "SELECT id FROM one WHERE id = (SELECT max(id) FROM two)",
    ],
)
def test_what_ends_early_is_never_more_than_the_estimate(engine: Engine, sql: str) -> None:
    found = engine.estimate(sql)
    assert (found.read_bytes or 0) >= (engine.usage(sql).read_bytes or 0)
    assert found.certainty is Certainty.UPPER_BOUND


def test_an_estimate_names_columns_files_and_partitions(engine: Engine) -> None:
    found = engine.estimate("SELECT id AS n FROM parts WHERE month < 3 AND k = 1")
    assert found.columns == (("n", "bigint"),)
    table = only(found)
    assert (table.name, table.columns) == ("parts", ("id", "k"))
    assert (table.files, table.all_files) == (2, 3)
    assert (table.partitions, table.all_partitions) == (2, 3)
    assert table.read_rows == 40_000


def test_row_groups_of_one_file_rule_out_the_other(engine: Engine) -> None:
    table = only(engine.estimate("SELECT k FROM two WHERE id >= 70000"))
    assert (table.files, table.all_files) == (1, 2)
    assert table.read_rows is not None
    assert 30_000 <= table.read_rows < 50_000


def test_two_tables_with_the_same_columns_are_told_apart(engine: Engine) -> None:
    found = engine.estimate("SELECT a.id, b.id FROM two a, parts b WHERE a.id = b.id")
    sizes = {one.name: one.all_files for one in found.tables}
    assert sizes == {"two": 2, "parts": 3}
    alone = {
        one: only(engine.estimate(f"SELECT id FROM {one}")).read_bytes for one in ("two", "parts")
    }
    assert {one.name: one.read_bytes for one in found.tables} == alone


def test_a_statement_that_reads_nothing_is_exactly_nothing(engine: Engine) -> None:
    found = engine.estimate("SELECT 1 AS one")
    assert (found.read_bytes, found.certainty, found.tables) == (0, Certainty.EXACT, ())


def test_what_explain_would_read_is_unknown_and_nothing_runs(engine: Engine) -> None:
    found = engine.estimate("EXPLAIN ANALYZE SELECT * FROM one")
    assert (found.read_bytes, found.certainty) == (None, Certainty.UNKNOWN)


def test_a_client_of_orgs_learns_nothing_of_hidden_rows(engine: Engine) -> None:
    by_org = RowFilter(org_column="k", org_ids=("1",), marks_deleted=False)
    found = engine.estimate("SELECT id FROM one", by_org)
    assert only(found) == TableEstimate("one")
    assert found.columns == (("id", "bigint"),)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT id FROM missing", FailureCode.NAME_NOT_FOUND),
        ("SELECT nothing FROM one", FailureCode.NAME_NOT_FOUND),
        ("SELECT id + t FROM one", FailureCode.TYPE_MISMATCH),
    ],
)
def test_a_statement_that_would_fail_fails(engine: Engine, sql: str, code: FailureCode) -> None:
    with pytest.raises(RunFailed) as failed:
        engine.estimate(sql)
    assert failed.value.failure.code is code


def test_an_estimator_goes_on_after_more_statements_than_a_session_serves(engine: Engine) -> None:
    sizes = {engine.estimate("SELECT r FROM one").read_bytes for _ in range(20)}
    assert len(sizes) == 1


def test_calls_are_found_and_marked_whatever_their_names_contain() -> None:
    source = (
        "(SELECT a FROM read_parquet(['/d/it''s (1).parquet', '/d/queryrun_p0=x%2Fy/0'], "
        "hive_types={'a)': VARCHAR}) UNION ALL SELECT a FROM read_parquet('/e.parquet'))"
    )
    first, second = parquet_calls(source)
    assert first.paths == ("/d/it's (1).parquet", "/d/queryrun_p0=x%2Fy/0")
    assert first.partitions == [{}, {"queryrun_p0": "x/y"}]
    assert second.paths == ("/e.parquet",)
    made = marked(source, [first, second], 3)
    assert made.count("WHERE filename <> 'queryrun:3'") == 1
    assert made.endswith("read_parquet('/e.parquet') WHERE filename <> 'queryrun:4'))")


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("(year = 2024)", ["(year = 2024)"]),
        ("(year = 2024)(month = 3)", ["(year = 2024)", "(month = 3)"]),
        (
            "(a = ')(')prefix(b, '(')(c IN (1, 2))",
            ["(a = ')(')", "prefix(b, '(')", "(c IN (1, 2))"],
        ),
        ("""("x)(" = 1)(b = 'it''s')""", ["""("x)(" = 1)""", "(b = 'it''s')"]),
        ("(CAST(a AS DATE) = '1'::DATE)(b)", ["(CAST(a AS DATE) = '1'::DATE)", "(b)"]),
        ("contains(a, 'x')", ["contains(a, 'x')"]),
        ("(a)::INTEGER", ["(a)::INTEGER"]),
        ("", []),
    ],
)
def test_conditions_on_partitions_are_told_apart(text: str, conditions: list[str]) -> None:
    plan = [{"name": "READ_PARQUET", "extra_info": {"File Filters": text}}]
    (scan,) = scans_of(plan).scans
    assert list(scan.file_filters) == conditions
