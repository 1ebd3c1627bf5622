"""Which tables a directory of files is, and what is said of those that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from queryrun.tables.directory import DataDirectory
from queryrun.tables.model import Table


def _touch(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def _table(directory: Path, name: str) -> Table:
    found = DataDirectory(directory).find(name)
    assert found is not None
    return found


def _names(table: Table) -> list[str]:
    return [file.name for file in table.files]


@pytest.mark.parametrize(
    ("file", "format_name", "compression"),
    [
        ("account.parquet", "parquet", ""),
        ("account.csv", "csv", ""),
        ("account.csv.gz", "csv", "gzip"),
        ("account.csv.zst", "csv", "zstd"),
        ("account.tsv", "tsv", ""),
        ("account.json", "json", ""),
        ("account.jsonl", "json", ""),
        ("account.ndjson.gz", "json", "gzip"),
        ("ACCOUNT.PARQUET", "parquet", ""),
    ],
)
def test_a_file_is_a_table_named_without_its_extension(
    tmp_path: Path, file: str, format_name: str, compression: str
) -> None:
    _touch(tmp_path, file)
    table = _table(tmp_path, "Account")
    assert (table.format, table.files[0].compression) == (format_name, compression)
    assert DataDirectory(tmp_path).candidates() == ["account"]


def test_a_sub_directory_is_a_table_of_its_files_at_any_depth(tmp_path: Path) -> None:
    _touch(tmp_path, "usage/b.parquet", "usage/2024/a.parquet", "usage/.x.parquet")
    _touch(tmp_path, "usage/_temporary/0/c.parquet", "usage/_SUCCESS")
    assert _names(_table(tmp_path, "usage")) == ["usage/2024/a.parquet", "usage/b.parquet"]


@pytest.mark.parametrize("name", ["a[1].csv", "a{b}.csv", "a*.csv", "a?.csv", "a\\b.csv"])
def test_characters_of_patterns_are_ordinary_in_names(tmp_path: Path, name: str) -> None:
    _touch(tmp_path, name, f"folder/{name}")
    assert _names(_table(tmp_path, name.removesuffix(".csv"))) == [name]
    assert _names(_table(tmp_path, "folder")) == [f"folder/{name}"]


def test_two_files_of_one_name_are_neither(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv", "A.parquet")
    assert "'A.parquet' and 'a.csv' have the same name" in _table(tmp_path, "a").problem


@pytest.mark.parametrize("name", ["duckdb_export", "PG_stats", "sqlite_dump"])
def test_a_name_of_the_engines_is_listed_with_what_to_do(tmp_path: Path, name: str) -> None:
    _touch(tmp_path, f"{name}.csv")
    (listed,) = DataDirectory(tmp_path).tables()
    assert "rename it" in listed.problem


def test_a_directory_of_two_formats_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "a/x.csv", "a/y.parquet")
    assert "holds CSV and Parquet files" in _table(tmp_path, "a").problem


@pytest.mark.parametrize("file", [".hidden.csv", "_x.csv", "notes.txt", "noending", ".csv"])
def test_other_files_are_no_tables(tmp_path: Path, file: str) -> None:
    _touch(tmp_path, file)
    assert DataDirectory(tmp_path).tables() == []


def test_a_directory_without_data_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert DataDirectory(tmp_path).find("empty") is None


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    _touch(tmp_path, "book.xlsx", "t/a.csv", "t/b.txt", "t/readme.md", "only/b.xlsx")
    directory = DataDirectory(tmp_path)
    assert "save the sheet as CSV" in directory.ignored["book.xlsx"]
    assert _table(tmp_path, "t").warnings == (
        "passed over: 1 × .md, 1 × .txt; the ending is not known; name it .csv or .tsv, or define "
        "the table in tables.toml",
    )
    assert "'only/b.xlsx' would be left out" in _table(tmp_path, "only").problem


@pytest.mark.parametrize("file", ["book.xlsx", "book.csv.xz", "book.orc", "BOOK.Parquet.zip"])
def test_asking_for_an_ending_that_is_not_read_says_what_to_do(tmp_path: Path, file: str) -> None:
    _touch(tmp_path, file)
    assert f"'{file}': " in _table(tmp_path, "book").problem
    assert DataDirectory(tmp_path).tables() == []
    _touch(tmp_path, "book.csv")
    assert _table(tmp_path, "book").problem == ""


def test_a_linked_partition_inside_the_data_is_read(tmp_path: Path) -> None:
    _touch(tmp_path, "t/year=2023/a.csv", ".old/year=2022/a.csv")
    (tmp_path / "t" / "year=2022").symlink_to(tmp_path / ".old" / "year=2022")
    table = _table(tmp_path, "t")
    assert _names(table) == ["t/year=2022/a.csv", "t/year=2023/a.csv"]
    assert [file.partition for file in table.files] == [(("year", "2022"),), (("year", "2023"),)]


def test_a_file_that_is_reached_twice_is_read_once(tmp_path: Path) -> None:
    _touch(tmp_path, "t/2024/a.csv")
    (tmp_path / "t" / "latest").symlink_to(tmp_path / "t" / "2024")
    table = _table(tmp_path, "t")
    assert _names(table) == ["t/2024/a.csv"]
    assert table.warnings == ("'t/latest/a.csv' links to a file that is read already",)


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    _touch(tmp_path, "data/t/a.csv", "outside/b.csv")
    (data / "t" / "b.csv").symlink_to(outside / "b.csv")
    (data / "u.csv").symlink_to(outside / "b.csv")
    (data / "v").symlink_to(outside)
    for name in ("t", "u", "v"):
        assert "leads out of the data directory" in _table(data, name).problem


def test_a_link_to_nothing_is_no_silent_loss(tmp_path: Path) -> None:
    _touch(tmp_path, "t/a.csv")
    (tmp_path / "t" / "b.csv").symlink_to(tmp_path / "gone.csv")
    assert _table(tmp_path, "t").problem == "'t/b.csv' is a link to nothing"


def test_a_link_to_a_directory_above_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "t/x/a.csv")
    (tmp_path / "t" / "x" / "again").symlink_to(tmp_path / "t")
    assert "a link to a directory that it is in" in _table(tmp_path, "t").problem


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    assert _table(tmp_path, "p").problem == "'p.csv' is not a file"


def test_partition_values_are_decoded(tmp_path: Path) -> None:
    _touch(tmp_path, "t/a%20key=x%2Fy%3D/b=__HIVE_DEFAULT_PARTITION__/a.csv")
    table = _table(tmp_path, "t")
    assert table.partition_keys == ("a key", "b")
    assert table.files[0].partition == (("a key", "x/y="), ("b", None))


def test_files_that_are_partitioned_differently_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "t/year=2024/a.csv", "t/b.csv")
    assert "partitioned differently" in _table(tmp_path, "t").problem


def test_a_name_is_found_in_any_case_and_composition(tmp_path: Path) -> None:
    _touch(tmp_path, "A\u0308rzte.csv")
    assert _names(_table(tmp_path, "ärzte")) == ["A\u0308rzte.csv"]
    assert _names(_table(tmp_path, "ÄRZTE")) == ["A\u0308rzte.csv"]


def test_new_files_are_tables_the_next_time(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv")
    assert DataDirectory(tmp_path).candidates() == ["a"]
    _touch(tmp_path, "b.csv")
    assert DataDirectory(tmp_path).candidates() == ["a", "b"]
