"""Writing is deterministic, scales, and never shows a reader half a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queryrun.demo import TABLES, SampleData, SampleDataError, billing, write_sample_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duckdb import DuckDBPyConnection


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.slow
def test_the_same_seed_and_factor_give_the_same_files(tmp_path: Path) -> None:
    write_sample_data(tmp_path / "a", factor=0.01, seed=7)
    write_sample_data(tmp_path / "b", factor=0.01, seed=7)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
def test_another_seed_gives_other_accounts(tmp_path: Path) -> None:
    write_sample_data(tmp_path / "a", factor=0.01, seed=7)
    write_sample_data(tmp_path / "b", factor=0.01, seed=8)
    assert (
        contents(tmp_path / "a")["account.parquet"] != contents(tmp_path / "b")["account.parquet"]
    )


def test_there_is_one_file_per_table_and_nothing_else(sample: SampleData) -> None:
    assert {path.name for path in sample.directory.iterdir()} == {f"{t}.parquet" for t in TABLES}


def test_the_report_matches_the_files(sample: SampleData, tables: DuckDBPyConnection) -> None:
    assert [table.name for table in sample.tables] == list(TABLES)
    for table in sample.tables:
        counted = tables.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        assert counted == (table.rows,)
        assert (sample.directory / f"{table.name}.parquet").stat().st_size == table.size_bytes
    assert sample.rows == sum(table.rows for table in sample.tables)
    assert sample.size_bytes == sum(table.size_bytes for table in sample.tables)


def test_all_names_are_lower_case(tables: DuckDBPyConnection) -> None:
    for table in TABLES:
        columns = [row[0] for row in tables.execute(f"DESCRIBE {table}").fetchall()]
        assert [table, *columns] == [name.lower() for name in [table, *columns]]


@pytest.mark.slow
def test_rows_scale_with_the_factor_but_the_catalogue_does_not(
    sample: SampleData, tmp_path: Path
) -> None:
    large = {table.name: table.rows for table in sample.tables}
    small = {t.name: t.rows for t in write_sample_data(tmp_path, factor=0.02).tables}
    assert (small["account"], large["account"]) == (20, 100)
    assert small["product"] == large["product"]
    for table in ("invoice", "invoiceitem", "payment", "usage"):
        assert 2 < large[table] / small[table] < 10, table


def test_the_smallest_factor_still_has_a_row_in_every_essential_table(tmp_path: Path) -> None:
    rows = {t.name: t.rows for t in write_sample_data(tmp_path, factor=0.0001).tables}
    assert rows["account"] == 1
    assert rows["subscription"] >= 1


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 1001.0])
def test_an_invalid_factor_is_refused_before_anything_is_written(
    tmp_path: Path, factor: float
) -> None:
    with pytest.raises(SampleDataError, match="factor"):
        write_sample_data(tmp_path / "data", factor=factor)
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_second_write_replaces_each_file_and_leaves_others_alone(tmp_path: Path) -> None:
    """A reader that opened the old file before keeps reading the old one: it is renamed over."""
    (tmp_path / "mine.csv").write_text("a\n1\n")
    write_sample_data(tmp_path, factor=0.01, seed=7)
    old = (tmp_path / "account.parquet").read_bytes()
    with (tmp_path / "account.parquet").open("rb") as reader:
        write_sample_data(tmp_path, factor=0.01, seed=8)
        assert reader.read() == old
    assert (tmp_path / "account.parquet").read_bytes() != old
    assert {p.name for p in tmp_path.iterdir()} == {"mine.csv", *(f"{t}.parquet" for t in TABLES)}


@pytest.mark.slow
def test_a_write_that_fails_midway_changes_no_table_and_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample_data(tmp_path, factor=0.01, seed=7)
    before = contents(tmp_path)
    broken: Mapping[str, str] = {**billing.SELECTS, "usage": "SELECT error('disk full')"}
    monkeypatch.setattr(billing, "SELECTS", broken)
    with pytest.raises(Exception, match="disk full"):
        write_sample_data(tmp_path, factor=0.01, seed=8)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_a_directory_with_a_quote_and_brackets_in_its_name_is_taken_literally(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "it's [mine]*"
    write_sample_data(directory, factor=0.001)
    assert (directory / "account.parquet").exists()
