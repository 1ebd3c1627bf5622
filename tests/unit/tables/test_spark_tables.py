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


def _texts(row: list[str | None]) -> list[str]:
    return [text or "" for text in row]
