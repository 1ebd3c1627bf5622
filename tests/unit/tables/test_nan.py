"""A NaN in files is found: the bounds in a Parquet file's end leave it out."""

from __future__ import annotations

import math
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.tables.reading import Reading

NAN = math.nan
MAP = pa.map_(pa.string(), pa.float64())
CONVERTED = pa.struct([("t", pa.timestamp("ns")), ("f", pa.float64())])


def columns(*values: float) -> pa.Table:
    """The values in every place where a column may have them."""
    return pa.table(
        {
            "f": list(values),
            "r": pa.array(values, pa.float32()),
            "s": [{"f": value} for value in values],
            "l": [[value] for value in values],
            "d": pa.array([{"t": 1000, "f": value} for value in values], CONVERTED),
            "m": pa.array([[("k", value)] for value in values], MAP),
            "ls": [[{"f": value}] for value in values],
        }
    )


def one_file(data: Path) -> None:
    pq.write_table(columns(1.0, 1e30, NAN), data / "t.parquet")


def several_files(data: Path) -> None:
    (data / "t").mkdir()
    pq.write_table(columns(1.0, NAN), data / "t/a.parquet")
    pq.write_table(columns(1e30), data / "t/b.parquet")


def several_schemas(data: Path) -> None:
    (data / "t").mkdir()
    pq.write_table(columns(1.0, NAN), data / "t/a.parquet")
    pq.write_table(columns(1e30).append_column("x", [[1]]), data / "t/b.parquet")


def a_delta_table(data: Path) -> None:
    microseconds = pa.struct([("t", pa.timestamp("us")), ("f", pa.float64())])
    for table in (columns(1.0, NAN), columns(1e30)):
        d = table.column("d").cast(microseconds)
        as_read = table.set_column(table.column_names.index("d"), "d", d)
        deltalake.write_deltalake(data / "t", as_read, mode="append")


EXPRESSIONS = (
    "is_nan(f)",
    "NOT is_finite(f)",
    "is_nan(r)",
    "is_nan(s.f)",
    "is_nan(l[1])",
    "is_nan(element_at(l, 1))",
    "any_match(l, x -> is_nan(x))",
    "is_nan(d.f)",
    "is_nan(f * 2)",
    "is_nan(m['k'])",
    "is_nan(element_at(m, 'k'))",
    "is_nan(ls[1].f)",
    "NOT ls[1].f <= 1e300",
    "NOT s.f <= 1e300",
    "f <> f",
    "NOT f <= 1e300",
    "NOT r <= REAL '1e38'",
)


@pytest.mark.parametrize("write", [one_file, several_files, several_schemas, a_delta_table])
def test_a_nan_is_found_by_expressions_and_by_filters(reading: Reading, write: object) -> None:
    assert callable(write)
    write(reading.data)
    counts = ", ".join(f"count_if({one})" for one in EXPRESSIONS)
    expected = [1] * len(EXPRESSIONS)
    assert list(reading.rows(f"SELECT {counts} FROM t")[0]) == expected
    filtered = ", ".join(f"(SELECT count(*) FROM t WHERE {one})" for one in EXPRESSIONS)
    assert list(reading.rows(f"SELECT {filtered}")[0]) == expected


def test_the_bounds_of_files_without_nan_still_answer(reading: Reading) -> None:
    pq.write_table(columns(1.0, -0.0, 2.0), reading.data / "t.parquet")
    assert reading.rows("SELECT min(f), max(f), count_if(is_nan(f)) FROM t") == [(-0.0, 2.0, 0)]
    assert reading.rows("SELECT typeof(f), typeof(r) FROM t LIMIT 1") == [("double", "real")]
    assert reading.rows("SELECT 1 / f FROM t WHERE f = 0") == [(-math.inf,)]
    assert reading.rows("SELECT count(*) FROM t WHERE f IS NULL OR s IS NULL") == [(0,)]
