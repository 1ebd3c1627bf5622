"""A value looks the same in a file whether the embedded engine made it or Trino."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from queryrun.engines.base import EngineLimits, EngineSession
from queryrun.engines.duckdb.session import open_session as open_embedded
from queryrun.engines.trino.session import open_session as open_trino
from queryrun.errors import FailureCode, RunFailed
from queryrun.results.encode import FileLayout, select_sql
from queryrun.results.formats import ContentType
from tests.trino_server import TrinoServer

pytestmark = pytest.mark.timeout(300)

ZONE = "Europe/Berlin"
SAME = [
    "true", "NULL", "tinyint '-1'", "smallint '300'", "1", "bigint '9223372036854775807'",
    "real '0.1'", "real '3.4E38'", "nan()", "infinity()", "CAST(-infinity() AS real)", "0.1E0",
    "-0E0", "1E300", "decimal '0.05'", "decimal '-12345678901234567890.123456789012345678'",
    "decimal '99999999999999999999999999999999999999'", "CAST(NULL AS decimal(10, 2))",
    "date '2024-02-29'", "date '0001-01-01'", "date '9999-12-31'",
    "timestamp '2020-01-01 01:02:03'", "timestamp '2020-01-01 01:02:03.1'",
    "timestamp '2020-01-01 01:02:03.123456'", "timestamp '1969-12-31 23:59:59.999999'",
    "'text'", "''", "'a,\"b'", "'ü☃'", "X'00ff10'", "X''",
    "json '{\"a\": [1, true, null, \"x\"]}'", "json '\"x\"'", "json 'null'",
    "uuid '12151fd2-7586-11e9-8f9e-2a86e4085a59'",
    "ARRAY[1, NULL, 3]", "ARRAY['a', 'b,c']", "CAST(ARRAY[] AS array(bigint))",
    "CAST(NULL AS array(bigint))", "ARRAY[ARRAY[1], NULL, ARRAY[]]", "ARRAY[nan(), 1E0]",
    "ARRAY[date '2020-01-01', NULL]", "ARRAY[timestamp '2020-01-01 01:02:03.5']",
    "ARRAY[X'00', NULL]", "ARRAY[decimal '1.50', decimal '2.25']",
    "MAP(ARRAY['a', 'b'], ARRAY[1, NULL])", "MAP(ARRAY[1, 2], ARRAY['x', 'y'])",
    "MAP(ARRAY[date '2020-01-01'], ARRAY[decimal '1.5'])",
    "MAP(ARRAY['k'], ARRAY[ARRAY[1, 2]])",
    "ROW(1, 'a')", "CAST(ROW(1, 'a') AS row(x bigint, y varchar))",
    "ARRAY[CAST(ROW(1, NULL) AS row(x bigint, y varchar))]",
    "CAST(NULL AS row(x bigint))", "ROW(1, ROW('a', date '2020-01-01'))",
    "ARRAY[CAST(ROW(1, X'00') AS row(a bigint, b varbinary)), NULL]",
]  # fmt: skip
"""Expressions that both engines have."""

INSTANTS = [
    "timestamp '2020-01-01 01:02:03.123 Europe/Berlin'",
    "timestamp '2020-07-01 01:02:03.123 America/New_York'",
    "timestamp '2020-01-01 01:02:03.123 +05:30'", "timestamp '2020-01-01 01:02:03 UTC'",
    "timestamp '1890-01-01 00:00:00 -03:00'",
]  # fmt: skip
"""The embedded engine writes them in their own zone, results of Trino are in the session's."""

FORMATTED = {
    "CAST('ab' AS char(4))": "ab  ",
    "time '01:02:03'": "01:02:03",
    "time '01:02:03.120000'": "01:02:03.12",
    "time '01:02:03.123456789'": "01:02:03.123456789",
    "time '01:02:03.5+02:00'": "01:02:03.5+02:00",
    "time '01:02:03.1234567-08:30'": "01:02:03.1234567-08:30",
    "timestamp '2020-01-01 01:02:03.123456789012'": "2020-01-01 01:02:03.123456789012",
    "timestamp '2020-01-01 01:02:03.1234567 UTC'": "2020-01-01 01:02:03.1234567 UTC",
    "timestamp '-0044-03-15 01:02:03.5'": "-0044-03-15T01:02:03.5",
    "timestamp '+12020-01-01 01:02:03'": "12020-01-01T01:02:03",
    "date '-0044-03-15'": "-0044-03-15",
    "date '0000-02-29'": "0000-02-29",
    "date '12345-01-02'": "12345-01-02",
    "timestamp '-0044-03-15 01:02:03 UTC'": "-0044-03-15T01:55:31+00:53:28",
    "interval '1' day": "1 00:00:00.000",
    "interval '-3' month": "-0-3",
    "ipaddress '10.0.0.1'": "10.0.0.1",
    "color('red')": "red",
    "approx_set(1)": "AgwBAIADRAA=",
    "ARRAY[time '01:02:03.5+02:00']": '["01:02:03.5+02:00"]',
    "ARRAY[interval '1' day, NULL]": '["1 00:00:00.000",null]',
    "MAP(ARRAY[true, false], ARRAY[nan(), 1E0])": '{"true":null,"false":1.0}',
    "MAP(ARRAY[1.5E0, 1E300], ARRAY[1, 2])": '{"1.5":1,"1e+300":2}',
    "CAST(ROW(1, 2) AS row(x bigint, \"X\" bigint))": '{"x":1,"X_1":2}',
    "CAST(ROW(1, 2) AS row(x bigint, bigint))": '{"x":1,"field1":2}',
    "ARRAY[json '1', json '{\"a\": 2}']": '[1,{"a":2}]',
    "ARRAY[ROW(1, json '[2]')]": "[[1,[2]]]",
}  # fmt: skip
"""What the embedded engine lacks, and how it is shown in a delimited file."""


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> EngineLimits:
    """Enough for one value."""
    return EngineLimits(256 * 1024**2, 1, str(tmp_path_factory.mktemp("spill")), 0)


@pytest.fixture(scope="module")
def trino(trino_server: TrinoServer, limits: EngineLimits) -> Iterator[EngineSession]:
    """Trino, in a zone with two offsets."""
    session = open_trino(trino_server.options(), limits, ZONE)
    yield session
    session.close()


@pytest.fixture(scope="module")
def embedded(
    tmp_path_factory: pytest.TempPathFactory, limits: EngineLimits
) -> Iterator[EngineSession]:
    """The embedded engine, in Trino's dialect."""
    options = {"data_dir": str(tmp_path_factory.mktemp("data")), "dialect": "trino"}
    session = open_embedded(options, limits, ZONE)
    yield session
    session.close()


def formatted(session: EngineSession, sql: str, form: str) -> tuple[Any, Any]:
    """A statement's columns, and the file that its rows make."""
    rows = session.plan(sql)
    query = select_sql(rows.relation, rows.columns, FileLayout(ContentType(form), None, ZONE))
    records = rows.connection.execute(
        f"SELECT to_json(r) FROM (\n{query.text}) AS r" if form == "json" else query.text
    ).fetchall()
    return [(column.name, column.type) for column in rows.columns], records


def together(expressions: list[str]) -> str:
    """One row of many values."""
    return "SELECT " + ", ".join(expressions)


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_both_engines_format_values_the_same(
    trino: EngineSession, embedded: EngineSession, form: str
) -> None:
    """Their types too. All at once: a statement costs Trino more than a value."""
    there = formatted(trino, together(SAME), form)
    here = formatted(embedded, together(SAME), form)
    assert repr(there) == repr(here)


def test_both_engines_write_the_same_instants(
    trino: EngineSession, embedded: EngineSession
) -> None:
    """Each with its offset, which may differ."""
    (there,) = formatted(trino, together(INSTANTS), "csv")[1]
    (here,) = formatted(embedded, together(INSTANTS), "csv")[1]
    assert [*map(datetime.fromisoformat, there)] == [*map(datetime.fromisoformat, here)]
    assert [text[-6:] for text in here] == ["+01:00", "-04:00", "+05:30", "+00:00", "-03:00"]


def test_types_that_only_trino_has_are_formatted_as_it_prints_them(trino: EngineSession) -> None:
    rows = trino.plan(together(list(FORMATTED)))
    query = select_sql(rows.relation, rows.columns, FileLayout(ContentType.CSV, None, ZONE)).text
    texts = rows.connection.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (\n{query})")
    found = dict(zip(FORMATTED, texts.fetchall()[0], strict=True))
    assert found == FORMATTED


def test_many_rows_with_gaps_keep_their_order(trino: EngineSession) -> None:
    """Missing values within nested ones, over more rows than a page has."""
    rows = trino.plan(
        "SELECT x, IF(x % 3 = 0, NULL, ARRAY[x, NULL]) AS a, "
        "IF(x % 5 = 0, NULL, CAST(ROW(x, IF(x % 2 = 0, NULL, 'o')) AS row(n bigint, t varchar))), "
        "IF(x % 7 = 0, NULL, MAP(ARRAY[x], ARRAY[IF(x % 2 = 0, NULL, x)])), "
        "IF(x % 2 = 0, timestamp '2020-01-01 00:00:00 UTC', "
        "timestamp '2020-01-01 00:00:00 Asia/Tokyo') "
        "FROM UNNEST(sequence(1, 10000)) AS a (i), UNNEST(sequence(10 * i, 10 * i + 9)) AS b (x)"
    )
    names = [f'"{column.name}"' for column in rows.columns]
    sql = (
        f"SELECT count(*), count(*) FILTER (x % 3 = 0 AND a IS NULL OR a[1] = x AND len(a) = 2), "
        f"count(*) FILTER (CASE WHEN x % 5 = 0 THEN {names[2]} IS NULL ELSE {names[2]}.n = x "
        f"AND ({names[2]}.t IS NULL) = (x % 2 = 0) END), "
        f"count(*) FILTER (CASE WHEN x % 7 = 0 THEN {names[3]} IS NULL "
        f"ELSE map_keys({names[3]}) = [x] END), "
        f"count(DISTINCT {names[4]}) FROM (\n{rows.relation})"
    )
    assert rows.connection.execute(sql).fetchall() == [(100000, 100000, 100000, 100000, 2)]


def test_an_ambiguous_local_time_is_refused(trino: EngineSession) -> None:
    """Clients get the local time and the zone's name; which of the two instants it was is lost."""
    rows = trino.plan("SELECT timestamp '2020-10-25 02:30:00 Europe/Berlin'")
    with pytest.raises(Exception) as raised:
        rows.connection.execute(f"FROM (\n{rows.relation})").fetchall()
    failed = trino.failure_of(raised.value)
    assert isinstance(failed, RunFailed)
    assert failed.failure.code is FailureCode.NOT_SUPPORTED
    assert "AT TIME ZONE 'UTC'" in failed.failure.message


def test_a_map_whose_keys_are_no_plain_values_is_refused(trino: EngineSession) -> None:
    with pytest.raises(RunFailed) as failed:
        trino.plan("SELECT MAP(ARRAY[ROW(1, 2)], ARRAY[1])")
    assert failed.value.failure.code is FailureCode.NOT_SUPPORTED


def test_columns_may_have_the_same_name_or_none(trino: EngineSession) -> None:
    rows = trino.plan('SELECT 1 AS x, 2 AS x, 3, 4 AS "X y"')
    assert [column.name for column in rows.columns] == ["x", "x_1", "_col2", "X y"]
