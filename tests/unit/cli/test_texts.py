"""How runs and rows look, what filters mean, which status an error has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import typer

from queryrun_cli.errors import CommandError
from queryrun_cli.exits import describe, status_of
from queryrun_cli.ls import Filters
from queryrun_cli.run import RunOptions, read_sql
from queryrun_cli.texts import aligned, fitted, run_cells, run_object, shortened
from queryrun_client import (
    ClientError,
    FileInfo,
    RunCanceled,
    RunError,
    RunFailed,
    RunInfo,
    State,
    StillRunning,
    Unreachable,
)
from queryrun_client.progress import counted

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FILE = FileInfo("r.csv", "http://x/r.csv?signature=s", "csv", 10, "ab")
RUN = RunInfo("r", State.COMPLETE, sql="SELECT 1", file=FILE, number_of_rows=1200)


def test_a_run_as_json_never_holds_the_signed_link() -> None:
    output = run_object(RUN)
    assert output["file"] == {"id": "r.csv", "size": 10, "sha256": "ab"}
    assert "signature" not in str(output)
    assert "error" not in output


def test_cells_are_short_and_numbers_readable() -> None:
    cells = run_cells(RUN)
    assert cells[:2] == ("r", "complete")
    assert "1,200" in cells
    assert shortened("SELECT\n  1,\n  2", 10) == "SELECT 1,…"


def test_columns_are_aligned() -> None:
    assert list(aligned([("a", "b"), ("long", "x")])) == ["a     b", "long  x"]


@pytest.mark.parametrize(("rows", "text"), [(0, "0 rows"), (1, "1 row"), (1200, "1,200 rows")])
def test_rows_are_counted_in_words(rows: int, text: str) -> None:
    assert counted(rows) == text


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, since: datetime) -> None:
    assert Filters(since=text).query(NOW).since == since


@pytest.mark.parametrize("filters", [Filters(since="soon"), Filters(state="sleeping")])
def test_an_invalid_filter_is_a_usage_error(filters: Filters) -> None:
    with pytest.raises(typer.BadParameter):
        filters.query(NOW)


def test_both_spellings_of_a_state_filter() -> None:
    assert Filters(state="cancelled").query(NOW).state is State.CANCELED


@pytest.mark.parametrize(
    ("output", "content"),
    [
        ("a.csv", ("csv", "none")),
        ("a.json.gz", ("json", "gzip")),
        ("a.tsv.zip", ("tsv", "zip")),
        ("a.parquet", ("parquet", "none")),
        ("a.out", ("csv", "none")),
    ],
)
def test_the_suffix_of_a_file_chooses_format_and_compression(
    output: str, content: tuple[str, str]
) -> None:
    assert RunOptions("SELECT 1", output=Path(output)).content == content


def test_a_requested_format_wins_over_the_suffix() -> None:
    assert RunOptions("SELECT 1", format="json", output=Path("a.csv.gz")).content == (
        "json",
        "gzip",
    )


def test_a_statement_is_one_of_argument_and_file(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT 1")
    assert read_sql(None, tmp_path / "q.sql") == "SELECT 1"
    with pytest.raises(typer.BadParameter):
        read_sql("SELECT 1", tmp_path / "q.sql")


@pytest.mark.parametrize(("sql", "file"), [("-", None), (None, Path("-")), (None, None)])
def test_what_is_piped_in_is_the_statement(
    monkeypatch: pytest.MonkeyPatch, sql: str | None, file: Path | None
) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"SELECT 2")))
    assert read_sql(sql, file) == "SELECT 2"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RunFailed(RUN), 3),
        (RunCanceled(RUN), 4),
        (Unreachable("no"), 5),
        (StillRunning(RUN), 6),
        (ClientError("no"), 1),
    ],
)
def test_every_error_has_its_exit_status(error: ClientError, status: int) -> None:
    assert status_of(error) == status


def test_a_failure_has_its_position_in_the_statement() -> None:
    failed = RunInfo("r", State.FAILED, error=RunError("name_not_found", "no x", False, 2, 8))
    assert describe(RunFailed(failed)) == "line 2, column 8: no x (name_not_found)"


def test_runs_fit_the_terminal_by_ids_that_tell_them_apart() -> None:
    """And each beginning is one that commands take."""
    first, second = ("01234567-89ab-cdef-0123-456789abcde" + end for end in "01")
    runs = [RunInfo(one, State.IN_PROGRESS, sql="SELECT 1 AS a" * 9, number_of_rows=7) for one in (
        first, "aaaaaaaa-89ab-cdef-0123-456789abcdef")]  # fmt: skip
    narrow = list(fitted(runs, 80))
    assert all(len(line) <= 80 for line in narrow)
    assert narrow[1].split()[:3] == ["01234567", "in_progress", "7"]
    assert [line.split()[0] for line in fitted(runs, None)][1] == first
    alike = [RunInfo(one, State.COMPLETE, sql="SELECT 1") for one in (first, second)]
    assert [line.split()[0] for line in fitted(alike, 40)][1:] == [first, second]


def test_an_endless_file_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(CommandError, match="/dev/zero has more than 64 MiB: that is no SQL"):
        read_sql(None, Path("/dev/zero"))
