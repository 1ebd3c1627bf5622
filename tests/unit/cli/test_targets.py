"""What a file of results becomes, by its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from queryrun_cli.errors import CommandError
from queryrun_cli.targets import check_writable, content_of, with_default


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.CSV", ("csv", "none")),
        ("a.Parquet", ("parquet", "none")),
        ("a.JSON.GZ", ("json", "gzip")),
        ("a.json.csv", ("csv", "none")),
        ("a.2026.tsv.zst", ("tsv", "zstd")),
        ("a.csv.enc", ("csv", "none")),
        ("a.json.gz.ENC", ("json", "gzip")),
        ("a.gz", ("csv", "gzip")),
        ("a", ("csv", "none")),
        ("-", ("csv", "none")),
        (".csv", ("csv", "none")),
    ],
)
def test_the_last_suffixes_say_format_and_compression(name: str, content: tuple[str, str]) -> None:
    assert with_default(Path(name), None) == content


@pytest.mark.parametrize("name", ["a.xlsx", "a.XLS", "a.csv.bz2", "a.feather", "a.csv.7z", "v1.2"])
def test_a_suffix_that_is_no_format_is_refused_unless_the_format_is_said(name: str) -> None:
    with pytest.raises(CommandError, match="is no format of results; use one of json, csv"):
        content_of(Path(name))
    assert content_of(Path(name), "tsv") == ("tsv", "none")


def test_a_pipe_takes_any_name_and_a_directory_names_the_file_itself(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "a.fifo", tmp_path / "results.d"
    os.mkfifo(pipe)
    folder.mkdir()
    assert with_default(pipe, None) == with_default(folder, None) == ("csv", "none")
    for path in (pipe, folder, Path("-"), tmp_path / "new.csv", Path("new.csv")):
        check_writable(path)


def test_a_path_where_no_file_can_be_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"the directory .*/none does not exist"):
        check_writable(tmp_path / "none" / "a.csv")
    with pytest.raises(CommandError, match=r"the directory .*/file is no directory"):
        check_writable(tmp_path / "file" / "a.csv")


def test_a_link_that_leads_in_a_circle_or_nowhere_is_named_before_anything_runs(
    tmp_path: Path,
) -> None:
    circle, nowhere = tmp_path / "circle.csv", tmp_path / "nowhere.csv"
    circle.symlink_to(circle)
    nowhere.symlink_to(tmp_path / "none" / "a.csv")
    with pytest.raises(OSError, match=r"symbolic links: '.*/circle.csv'"):
        check_writable(circle)
    with pytest.raises(CommandError, match=r"the directory .*/none does not exist"):
        check_writable(nowhere)
