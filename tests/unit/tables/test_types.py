"""Types that Trino lacks are read as the nearest, and never fail columns that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import RunFailed

NS = pa.timestamp("ns")
INSTANT_NS = 1711852200123456789
ROUNDED = datetime(2024, 3, 31, 2, 30, 0, 123457)


def session(tmp_path: Path, **options: str) -> DuckDBSession:
    """A session whose spill directory is beside the data."""
    spill = tmp_path / "spill"
    spill.mkdir()
    limits = EngineLimits(512 * 1024**2, 2, str(spill), 10**9)
    return open_session({"dialect": "trino"} | options, limits)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[DuckDBSession, Path]]:
    """A session over an empty directory of files."""
    data = tmp_path / "data"
    data.mkdir()
    opened = session(tmp_path, data_dir=str(data))
    yield opened, data
    opened.close()


def rows(opened: DuckDBSession, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a statement, or the failure that its execution means."""
    planned = opened.plan(sql)
    try:
        return planned.connection.execute(planned.relation).fetchall()
    except duckdb.Error as error:
        raise opened.failure_of(error) from error
    finally:
        opened.renew()


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (NS, INSTANT_NS, ROUNDED),
        (NS, -1, datetime(1970, 1, 1)),
        (NS, -501, datetime(1969, 12, 31, 23, 59, 59, 999999)),
        (pa.timestamp("ns", "Europe/Berlin"), INSTANT_NS, ROUNDED.replace(tzinfo=UTC)),
        (pa.list_(NS), [INSTANT_NS, None], [ROUNDED, None]),
        (pa.struct([("t", NS)]), {"t": INSTANT_NS}, {"t": ROUNDED}),
        (pa.map_(pa.string(), NS), [("k", INSTANT_NS)], {"k": ROUNDED}),
        (pa.uint64(), 2**64 - 1, Decimal(2**64 - 1)),
        (pa.list_(pa.struct([("t", NS)])), [{"t": INSTANT_NS}], [{"t": ROUNDED}]),
        (pa.time64("ns"), 86_399_999_999_999, time(23, 59, 59, 999_999)),
        (pa.time64("ns"), 1_600, time(0, 0, 0, 2)),
    ],
)
def test_a_value_is_read_as_trinos_nearest_type(
    files: tuple[DuckDBSession, Path], kind: pa.DataType, value: object, read: object
) -> None:
    opened, data = files
    pq.write_table(pa.table({"v": pa.array([value, None], kind)}), data / "t.parquet")
    assert rows(opened, "SELECT v FROM t") == [(read,), (None,)]
    assert rows(opened, "SELECT count(v) AS c FROM t") == [(1,)]


def test_decimals_of_more_than_38_digits_are_refused_only_where_they_are_read(
    files: tuple[DuckDBSession, Path],
) -> None:
    opened, data = files
    wide = pa.array([Decimal("12345678901234567890123456789012345678901.5")], pa.decimal256(50, 2))
    pq.write_table(pa.table({"wide": wide, "other": pa.array([7])}), data / "t.parquet")
    assert rows(opened, "SELECT other FROM t") == [(7,)]
    assert rows(opened, "SELECT count(*) AS c FROM t") == [(1,)]
    with pytest.raises(RunFailed) as failed:
        rows(opened, "SELECT wide FROM t")
    assert failed.value.failure.code == "data_invalid"
    assert "column 'wide'" in failed.value.failure.message


@pytest.mark.parametrize(
    ("made", "read"),
    [
        ("'2024-01-01 00:00:00.0000005'::timestamp_ns", datetime(2024, 1, 1, 0, 0, 0, 1)),
        ("'1010'::bit", "1010"),
        ("5::bignum", "5"),
        ("5::uhugeint", Decimal(5)),
        (f"{'9' * 38}::uhugeint", Decimal("9" * 38)),
        (f"-{'9' * 38}::hugeint", Decimal("-" + "9" * 38)),
        ("'12:00:00+02'::timetz", "12:00:00+02"),
        ("'a'::enum('a','b')", "a"),
        ("union_value(x := 1)::union(x int, y varchar)", {"tag": "x", "x": 1, "y": None}),
        ("row('2024-01-01'::timestamp_ns, 5)", (datetime(2024, 1, 1), 5)),
        ("['2024-01-01'::timestamp_ns]::timestamp_ns[1]", [datetime(2024, 1, 1)]),
    ],
)
def test_types_that_only_duckdb_has_are_read_from_a_database(
    tmp_path: Path, made: str, read: object
) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT {made} AS v, 1 AS other")
    opened = session(tmp_path, database=str(path))
    assert rows(opened, "SELECT v, other FROM t") == [(read, 1)]
    opened.close()


@pytest.mark.parametrize(
    ("made", "read"),
    [
        ("INTERVAL 3 DAY + INTERVAL 5 SECOND", "3 00:00:05.000"),
        ("INTERVAL (-90) MINUTE", "-0 01:30:00.000"),
        ("INTERVAL 1500 MICROSECOND", "0 00:00:00.001"),
        ("NULL::INTERVAL", None),
        ("[INTERVAL 3 DAY, NULL]", ["3 00:00:00.000", None]),
        ("{'i': INTERVAL 1 HOUR, 'n': 2}", {"i": "0 01:00:00.000", "n": 2}),
        ("NULL::STRUCT(i INTERVAL)", None),
        ("MAP {'k': [INTERVAL 1 SECOND]}", {"k": ["0 00:00:01.000"]}),
    ],
)
def test_an_interval_is_a_text_as_trino_prints_it(tmp_path: Path, made: str, read: object) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT {made} AS v, INTERVAL 14 MONTH AS m, 1 AS k")
    opened = session(tmp_path, database=str(path))
    assert rows(opened, "SELECT v, k FROM t ORDER BY k") == [(read, 1)]
    with pytest.raises(RunFailed) as failed:
        rows(opened, "SELECT * FROM t")
    assert failed.value.failure.code == "data_invalid"
    assert "column 'm': an interval has months" in failed.value.failure.message
    opened.close()


@pytest.mark.parametrize(
    "made", [f"1{'0' * 38}::uhugeint", f"(-1{'0' * 38})::hugeint", f"[1{'0' * 38}::hugeint]"]
)
def test_a_whole_number_beyond_38_digits_names_its_column(tmp_path: Path, made: str) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT {made} AS v, 1 AS other")
    opened = session(tmp_path, database=str(path))
    assert rows(opened, "SELECT other FROM t") == [(1,)]
    with pytest.raises(RunFailed) as failed:
        rows(opened, "SELECT v FROM t")
    assert failed.value.failure.code == "data_invalid"
    assert "Table 't', column 'v': a whole number in it" in failed.value.failure.message
    opened.close()


def test_texts_with_a_collation_are_compared_as_they_stand(tmp_path: Path) -> None:
    """Trino has no collations: what a statement on the same texts in a file says holds here."""
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (v VARCHAR COLLATE NOCASE, w VARCHAR)")
        connection.execute("INSERT INTO t VALUES ('a', 'a'), ('A', 'A'), ('b', 'b')")
        connection.execute("CREATE VIEW seen AS SELECT v FROM t")
    opened = session(tmp_path, database=str(path))
    for table in ("t", "seen"):
        assert rows(opened, f"SELECT count(*) FROM {table} WHERE v = 'a'") == [(1,)]
        assert rows(opened, f"SELECT count(DISTINCT v) FROM {table}") == [(3,)]
        assert rows(opened, f"SELECT v FROM {table} ORDER BY v") == [("A",), ("a",), ("b",)]
        assert rows(opened, f"SELECT count(*) FROM {table} JOIN t AS u ON {table}.v = u.w") == [
            (3,)
        ]
    opened.close()


def test_a_view_of_a_table_that_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE gone (a INT); CREATE VIEW v AS SELECT a FROM gone")
        connection.execute("DROP TABLE gone")
    opened = session(tmp_path, database=str(path))
    with pytest.raises(RunFailed) as failed:
        rows(opened, "SELECT a FROM v")
    assert "Table 'v' cannot be read: it is a view of what is not there" in str(
        failed.value.failure.message
    )
    assert "('gone')" in str(failed.value.failure.message)
    opened.close()


def test_a_table_of_another_schema_is_said_not_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.o AS SELECT 1 AS a")
        connection.execute("CREATE VIEW seen AS SELECT * FROM other.o")
    opened = session(tmp_path, database=str(path))
    assert rows(opened, "SELECT a FROM seen") == [(1,)]
    with pytest.raises(RunFailed) as failed:
        rows(opened, "SELECT a FROM other.o")
    assert "create a view of it there" in failed.value.failure.message
    opened.close()
