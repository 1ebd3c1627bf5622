"""`queryrun tables infer` and `check`: what an operator is told about files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from queryrun.cli.home import init_home
from queryrun_cli.main import program

ROWS = "".join(f"{number},{number},31/12/2024\n" for number in range(1_500))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a good table, one with a fault in its last line, and one that is ragged."""
    made = tmp_path / "home"
    data = init_home(made, entity="main", factor=None).data_dir
    (data / "good.csv").write_text("id\n1\n")
    (data / "bad.csv").write_text(f"id,v,d\n{ROWS}1500,N/A,01/02/2025\n")
    (data / "ragged.csv").write_text("a,b\n1\n")
    return made


def test_check_lists_every_fault_with_file_and_line(home: Path) -> None:
    result = CliRunner().invoke(program(), ["tables", "check", "--home", str(home)])
    assert result.exit_code == 1
    assert "good: 1 rows" in result.output
    assert "'bad.csv' line 1502 has 'N/A' among numbers" in result.output
    assert "'ragged.csv' line 2 has 1 values instead of 2" in result.output


def test_the_list_says_what_tables_consist_of(home: Path) -> None:
    data = home / "data/main"
    pq.write_table(pa.table({"a": [1, 2]}), data / "p.parquet")
    (data / "book.xlsx").write_text("x")
    (data / "t").mkdir()
    (data / "t/a.csv").write_text("a\n1\n")
    (data / "t/notes.md").write_text("x")
    (data / "empty.parquet").write_text("")
    runner = CliRunner()
    output = runner.invoke(program(), ["tables", "files", "--home", str(home)]).output
    assert "good: csv, 1 files, 5 bytes, version " in output
    assert "p: parquet, 1 files, " in output
    assert " 2 rows, version" in output
    assert "  warning: passed over: 1 × .md" in output
    assert "book.xlsx: Excel workbooks are not read; save the sheet as CSV" in output
    as_json = runner.invoke(program(), ["tables", "files", "--json", "--home", str(home)]).output
    tables = {t.get("name"): t for t in map(json.loads, as_json.splitlines())}
    assert tables["p"]["rows"] == 2
    assert tables["t"]["warnings"] == ["passed over: 1 × .md"]


def test_a_draft_is_a_definition_that_reads_the_table(home: Path) -> None:
    runner = CliRunner()
    drafted = runner.invoke(program(), ["tables", "infer", "bad", "--home", str(home)])
    assert drafted.exit_code == 0
    assert tomllib.loads(drafted.output)["tables"]["bad"]["columns"]["id"] == "bigint"
    (home / "data/main/tables.toml").write_text(drafted.output)
    checked = runner.invoke(program(), ["tables", "check", "bad", "--home", str(home)])
    assert checked.output.splitlines() == ["bad: 1501 rows"]
    assert checked.exit_code == 0


def test_a_draft_of_an_unreadable_table_says_why(home: Path) -> None:
    result = CliRunner().invoke(program(), ["tables", "infer", "ragged", "--home", str(home)])
    assert result.exit_code == 1
    assert "line 2" in result.output
