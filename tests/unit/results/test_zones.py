"""Instants of a column that has a time zone of its own are written in it."""

from __future__ import annotations

import duckdb
import pytest

from queryrun.results.types import parse_type
from queryrun.results.values import ValueFormatter


@pytest.mark.parametrize(
    ("zone", "written"),
    [
        ("America/New_York", "2020-01-01T05:00:00-05:00"),
        ("Europe/Paris", "2020-01-01T11:00:00+01:00"),
        ("+05:30", "2020-01-01T15:30:00+05:30"),
        ("-03:15", "2020-01-01T06:45:00-03:15"),
        ("", "2020-01-01T10:00:00+00:00"),
    ],
)
def test_an_instant_is_written_in_its_columns_zone(zone: str, written: str) -> None:
    kind = parse_type("TIMESTAMP WITH TIME ZONE")
    sql = ValueFormatter("UTC", zone).as_text(kind, "TIMESTAMPTZ '2020-01-01 10:00:00+00'")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.execute(f"SELECT {sql}").fetchone() == (written,)
