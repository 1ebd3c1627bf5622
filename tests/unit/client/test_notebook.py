"""What a notebook shows is escaped, and says what is not known."""

from __future__ import annotations

import pytest

from queryrun_client import Client, Column, Options, Run, RunError, RunInfo, State, Table
from queryrun_client.marked import marked_line
from queryrun_client.notebook import Progress, is_active
from queryrun_client.progress import STANDING_S, KnownPercent, progress_text

EVIL = "<script>alert('x')</script>&\""


def run_of(info: RunInfo) -> Run:
    return Run(Client("http://x", options=Options(token="t")), info)


def test_no_text_of_a_run_becomes_markup() -> None:
    error = RunError(EVIL, EVIL, line=1, column=8)
    info = RunInfo(EVIL, State.FAILED, sql=f"SELECT {EVIL}", source=EVIL, error=error)
    html = run_of(info)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "line 1, column 8" in html


def test_no_name_of_a_table_becomes_markup() -> None:
    html = Table(EVIL, (Column(EVIL, EVIL),), problem=EVIL)._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4


def test_the_wrong_part_of_the_statement_is_underlined() -> None:
    error = RunError("name_not_found", "no such column", line=2, column=3)
    html = run_of(RunInfo("r", State.FAILED, sql="SELECT\n  b < 1", error=error))._repr_html_()
    assert "<pre>  <u" in html
    assert ">b</u> &lt; 1</pre>" in html


def test_progress_is_unknown_rather_than_a_guess() -> None:
    assert progress_text(RunInfo("r", State.IN_PROGRESS), None) == "in_progress, progress unknown"
    running = RunInfo("r", State.IN_PROGRESS, percent=41.6, number_of_rows=1)
    assert progress_text(running, 41.6) == "in_progress, 42 %, 1 row"
    progress = Progress()
    assert progress._repr_html_() == ""
    progress.update(RunInfo("r", State.IN_PROGRESS))
    assert '<progress max="100"></progress>' in progress._repr_html_()
    progress.update(running)
    assert 'value="41.6"' in progress._repr_html_()


def test_a_percentage_that_stands_is_not_known_until_it_moves() -> None:
    time_s = [0.0]
    known = KnownPercent(lambda: time_s[0])
    running = RunInfo("r", State.IN_PROGRESS, percent=67.0)
    assert known.of(running) == 67.0
    time_s[0] += STANDING_S - 0.1
    assert known.of(running) == 67.0
    time_s[0] += 0.1
    assert known.of(running) is None
    assert known.of(RunInfo("r", State.IN_PROGRESS, percent=68.0)) == 68.0
    time_s[0] += STANDING_S
    assert known.of(RunInfo("r", State.COMPLETE, percent=100.0)) == 100.0


def test_a_test_is_no_notebook() -> None:
    assert not is_active()


@pytest.mark.parametrize(
    ("sql", "line", "column", "marked"),
    [
        ("SELECT nothing_here FROM x", 1, 8, ("SELECT ", "nothing_here", " FROM x")),
        ("SELECT\r\n  a.b", 2, 5, ("  a.", "b", "")),
        ('SELECT "a ""b" FROM x', 1, 8, ("SELECT ", '"a ""b"', " FROM x")),
        ("SELECT 'a", 1, 8, ("SELECT ", "'a", "")),
        ("SELECT a <> b", 1, 10, ("SELECT a ", "<>", " b")),
        ("SELECT", 1, 7, ("SELECT", " ", "")),
        ("", 1, 1, ("", " ", "")),
    ],
)
def test_the_token_at_a_position_is_marked(
    sql: str, line: int, column: int, marked: tuple[str, str, str]
) -> None:
    assert marked_line(sql, line, column) == marked


@pytest.mark.parametrize(
    ("line", "column"), [(None, None), (0, 1), (3, 1), (1, 0), (1, 9), (-1, 1), (1, None)]
)
def test_a_position_that_the_statement_does_not_have_marks_nothing(
    line: int | None, column: int | None
) -> None:
    assert marked_line("SELECT\na", line, column) is None
