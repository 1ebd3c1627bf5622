"""A session in Trino's dialect: any kind of data, the zone of the session, errors in our words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import duckdb
import pytest

from queryrun.engines.base import RowFilter
from queryrun.engines.duckdb.session import DuckDBSession
from queryrun.errors import FailureCode, RunFailed
from tests.unit.engines.conftest import Open


def result(
    session: DuckDBSession, statement: str, row_filter: RowFilter | None = None
) -> list[object]:
    """The rows of a statement; the session is ready for another afterwards."""
    rows = session.plan(statement, row_filter)
    found = rows.connection.execute(f"SELECT * FROM ({rows.relation})").fetchall()
    session.renew()
    return list(found)


@pytest.fixture
def trino(open_engine: Open, data_dir: Path) -> DuckDBSession:
    """A session over files."""
    return open_engine(data_dir=str(data_dir), dialect="trino")


@pytest.mark.parametrize("table", ["note", "packed", "event"])
def test_every_kind_of_file_is_a_table(trino: DuckDBSession, table: str) -> None:
    assert result(trino, f"SELECT id / 2, note || '!' FROM {table.upper()}") == [(0, "x!")]


def test_a_table_of_several_files_has_the_columns_of_all(trino: DuckDBSession) -> None:
    assert result(trino, "SELECT count(*), max(more) FROM usage") == [(2, "new")]


def test_metadata_knows_tables_without_reading_them(trino: DuckDBSession) -> None:
    assert ("account",) in result(trino, "SHOW TABLES")
    assert result(trino, "SHOW TABLES LIKE 'acc%'") == [("account",)]
    assert result(trino, "DESC account") == [
        ("id", "bigint", "", ""),
        ("accountnumber", "varchar", "", ""),
    ]


def test_a_type_is_shown_with_the_names_of_its_fields_unquoted(
    trino: DuckDBSession, data_dir: Path
) -> None:
    """As Trino 476 shows it: `row(SubName varchar, in side row(Deep integer))`."""
    path = data_dir / "nested.parquet"
    row = "{'SubName': 'n', 'in side': {'Deep': 1}}"
    duckdb.execute(f"COPY (SELECT {row} AS \"Row\") TO '{path}' (FORMAT parquet)")
    displayed = "row(SubName varchar, in side row(Deep integer))"
    assert result(trino, "SHOW COLUMNS FROM nested") == [("row", displayed, "", "")]
    columns = "FROM information_schema.columns WHERE table_name = 'nested'"
    assert result(trino, f"SELECT data_type {columns}") == [(displayed,)]
    of_a_cast = 'typeof(CAST(ROW(1, 2) AS ROW(Aa bigint, "bB" bigint)))'
    assert result(trino, f"SELECT {of_a_cast}") == [("row(aa bigint, bB bigint)",)]


def test_a_database_file_is_queried_in_the_same_dialect(open_engine: Open, tmp_path: Path) -> None:
    path = tmp_path / "data.duckdb"
    with duckdb.connect(str(path)) as writer:
        writer.execute(
            "CREATE TABLE Account AS SELECT 7 AS Id, i = 1 AS deleted FROM range(2) t(i)"
        )
    session = open_engine(database=str(path), dialect="trino")
    assert result(session, "SELECT id / 2 FROM account") == [(3,)]
    assert result(session, "SELECT count(*) FROM account", RowFilter("include")) == [(2,)]
    assert result(session, "SHOW TABLES") == [("account",)]


@pytest.mark.parametrize("dialect", ["trino", "native"])
def test_a_column_named_deleted_hides_nothing_where_the_source_does_not_say_so(
    open_engine: Open, data_dir: Path, dialect: str
) -> None:
    (data_dir / "own.csv").write_text("id,deleted\n1,true\n2,false\n")
    session = open_engine(data_dir=str(data_dir), dialect=dialect)
    count = "SELECT count(*) AS n FROM own"
    assert result(session, count, RowFilter(marks_deleted=False)) == [(2,)]
    assert result(session, count, RowFilter(marks_deleted=True)) == [(1,)]


def test_the_sessions_zone_is_the_zone_of_the_statement(open_engine: Open, data_dir: Path) -> None:
    session = open_engine("America/New_York", data_dir=str(data_dir), dialect="trino")
    sql = (
        "SELECT current_timezone(), hour(TIMESTAMP '2020-07-01 12:00:00 UTC' AT TIME ZONE "
        "'Asia/Tokyo'), hour(CAST(TIMESTAMP '2020-07-01 12:00:00 UTC' AS timestamp)), "
        "hour(from_unixtime(0)), to_unixtime(TIMESTAMP '1970-01-01 00:00:00 UTC')"
    )
    assert result(session, sql) == [("America/New_York", 21, 12, 19, 0.0)]


def test_an_error_while_it_runs_has_no_made_up_position(trino: DuckDBSession) -> None:
    """Either division can have failed."""
    rows = trino.plan("SELECT 1 / (id - id), 2 / (id - id) FROM account")
    with pytest.raises(duckdb.Error) as raised:
        rows.connection.execute(f"SELECT * FROM ({rows.relation})").fetchall()
    failed = trino.failure_of(raised.value, relation_at=15)
    assert isinstance(failed, RunFailed)
    assert failed.failure.code is FailureCode.INVALID_VALUE
    assert failed.failure.line is None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/passwd"',
        "SELECT * FROM duckdb_settings",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT getenv('HOME')",
        "SELECT current_setting('memory_limit')",
        "SELECT * FROM UNNEST(read_text('/etc/passwd'))",
        "SELECT query('SELECT 1')",
        "DELETE FROM account",
        "SELECT 1; SELECT 2",
    ],
)
def test_nothing_of_the_engine_can_be_reached(trino: DuckDBSession, statement: str) -> None:
    """The worker parses again: a guard that was bypassed is not the only defence."""
    with pytest.raises(RunFailed):
        trino.plan(statement)


def test_a_plan_is_one_text_that_names_no_file(trino: DuckDBSession, data_dir: Path) -> None:
    """DuckDB's own drawing names the files that were read."""
    statement = "SELECT a.id, count(*) FROM account a JOIN note n ON n.id = a.id GROUP BY a.id"
    for explain in ("EXPLAIN", "EXPLAIN ANALYZE"):
        planned = trino.plan(f"{explain} {statement}")
        assert [(c.name, c.type) for c in planned.columns] == [("Query Plan", "VARCHAR")]
        (plan,) = planned.connection.execute(planned.relation).fetchone() or ("",)
        assert "READ_PARQUET" in plan
        assert str(data_dir) not in plan
        assert "parquet'" not in plan
        trino.renew()


def test_analyze_counts_the_rows_that_passed(trino: DuckDBSession) -> None:
    rows = result(trino, "EXPLAIN ANALYZE SELECT id FROM account WHERE id > 0")
    assert "Output: 2 rows" in str(rows)


def test_validation_binds_and_computes_nothing(trino: DuckDBSession) -> None:
    assert result(trino, "EXPLAIN (TYPE VALIDATE) SELECT 1 / (id - id) FROM account") == [(True,)]
    with pytest.raises(RunFailed):
        trino.plan("EXPLAIN (TYPE VALIDATE) SELECT nothing FROM account")


def test_information_schema_lists_tables_and_columns(trino: DuckDBSession, data_dir: Path) -> None:
    """One that cannot be read has a name and no columns."""
    (data_dir / "broken.parquet").write_text("no parquet")
    ours = "table_schema = 'data' AND table_name IN ('account', 'broken')"
    tables = f"SELECT table_name FROM information_schema.tables WHERE {ours} ORDER BY 1"
    assert result(trino, tables) == [("account",), ("broken",)]
    columns = f"SELECT column_name, data_type FROM information_schema.columns WHERE {ours}"
    assert result(trino, columns) == [("id", "bigint"), ("accountnumber", "varchar")]


def test_explain_type_io_has_trinos_shape(trino: DuckDBSession) -> None:
    (row,) = result(trino, "EXPLAIN (TYPE IO, FORMAT JSON) SELECT id FROM account WHERE id > 0")
    (text,) = cast("tuple[str]", row)
    found = json.loads(text)
    (entry,) = found["inputTableColumnInfos"]
    assert entry["table"]["schemaTable"]["table"] == "account"
    assert entry["constraint"] == {"none": False, "columnConstraints": []}
    assert set(entry["estimate"]) == set(found["estimate"])
    assert "/" not in text


def test_explain_type_io_of_no_table_reads_nothing(trino: DuckDBSession) -> None:
    (row,) = result(trino, "EXPLAIN (TYPE IO) SELECT 1 / 0")
    (text,) = cast("tuple[str]", row)
    assert json.loads(text)["inputTableColumnInfos"] == []
