"""Delta tables that Spark's own writers wrote (`spark_tables/make.py`).

Beside each table are its rows as Spark reads them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.tables.reading import Reading

TABLES = Path(__file__).with_name("spark_tables")
NAMES = sorted(path.stem for path in TABLES.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_spark_has_the_rows_that_spark_reads(reading: Reading, name: str) -> None:
    shutil.copytree(TABLES / name, reading.data / "t")
    known = json.loads((TABLES / f"{name}.json").read_text())
    columns = ", ".join(f'CAST("{column}" AS varchar)' for column in known["columns"])
    rows = [
        [text and text.removesuffix(" UTC") for text in row]
        for row in reading.rows(f"SELECT {columns} FROM t")
    ]
    assert sorted(rows, key=_texts) == sorted(known["rows"], key=_texts)


@pytest.mark.parametrize("keeps", [0, 20])
def test_a_lost_deletion_vector_is_said_to_be_one(reading: Reading, keeps: int) -> None:
    shutil.copytree(TABLES / "delta_vectors", reading.data / "t")
    for path in (reading.data / "t").glob("*.bin"):
        path.write_bytes(path.read_bytes()[:keeps]) if keeps else path.unlink()
    message = reading.failure("SELECT count(*) FROM t").message
    assert "a file of its deletion vectors is missing or damaged; restore it" in message


def _texts(row: list[str | None]) -> list[str]:
    return [text or "" for text in row]
