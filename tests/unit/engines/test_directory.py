"""Which tables a directory of files is."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.engines.directory import quoted_name, quoted_text, tables_in


def _touch(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("file", "reader"),
    [
        ("account.parquet", "read_parquet"),
        ("account.csv", "read_csv"),
        ("account.csv.gz", "read_csv"),
        ("account.tsv", "read_csv"),
        ("account.json", "read_json"),
        ("account.jsonl", "read_json"),
        ("account.ndjson.gz", "read_json"),
        ("ACCOUNT.PARQUET", "read_parquet"),
    ],
)
def test_a_file_is_a_table_named_without_its_extension(
    tmp_path: Path, file: str, reader: str
) -> None:
    _touch(tmp_path, file)
    (name, table), *others = tables_in(tmp_path).items()
    assert (name, table.reader, others) == ("account", reader, [])


def test_a_sub_directory_is_a_table_of_its_files_of_one_kind(tmp_path: Path) -> None:
    _touch(
        tmp_path, "usage/b.parquet", "usage/2024/a.parquet", "usage/readme.csv", "usage/.x.parquet"
    )
    table = tables_in(tmp_path)["usage"]
    assert table.reader == "read_parquet"
    assert [Path(path).name for path in table.paths] == ["b.parquet", "a.parquet"]


def test_of_tables_with_one_name_the_first_kind_counts(tmp_path: Path) -> None:
    _touch(tmp_path, "a.json", "A.csv", "a/x.parquet")
    assert tables_in(tmp_path)["a"].reader == "read_csv"
    _touch(tmp_path, "a.parquet")
    assert tables_in(tmp_path)["a"].reader == "read_parquet"


@pytest.mark.parametrize(
    "file",
    [
        ".hidden.csv",
        "notes.txt",
        "noending",
        ".csv",
        "a*.csv",
        "a[1].csv",
        "a\n.csv",
        "empty/x.txt",
    ],
)
def test_what_is_no_table_is_passed_over(tmp_path: Path, file: str) -> None:
    _touch(tmp_path, file)
    assert tables_in(tmp_path) == {}


def test_new_files_are_tables_the_next_time(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv")
    assert set(tables_in(tmp_path)) == {"a"}
    _touch(tmp_path, "b.csv")
    assert set(tables_in(tmp_path)) == {"a", "b"}


def test_names_and_texts_are_quoted_for_sql() -> None:
    assert quoted_name('x"; DROP') == '"x""; DROP"'
    assert quoted_text("a'b") == "'a''b'"
