"""What a shell completes, and when an entry is whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from queryrun_cli.completing import VARIABLE, harmless, is_plain
from queryrun_cli.errors import CommandError
from queryrun_cli.shell.completion import Words, completions, quoted
from queryrun_cli.shell.entries import EXPANDED, is_whole, numbered_parts, parts_of
from queryrun_cli.shell.prompt import MAX_HISTORY_BYTES, private_history
from queryrun_cli.shell.session import Session
from queryrun_cli.shell.underline import MAX_LINE, error_lines
from queryrun_cli.table import width_of
from queryrun_client import (
    Client,
    Column,
    Options,
    RunError,
    RunFailed,
    RunInfo,
    State,
    Table,
    Unreachable,
)

TABLES = [
    Table("account", (Column("id", "varchar"), Column("balance", "decimal(18,2)"))),
    Table("Odd Table", (Column("The Day", "date"), Column("order", "integer"))),
    Table("broken", None, problem="no header"),
]


@dataclass
class Catalog(Session):
    """A session that knows these tables, and counts how often it is asked."""

    client: Client = field(default_factory=lambda: Client("http://x", options=Options(token="t")))
    calls: int = 0

    def tables(self) -> list[Table]:
        self.calls += 1
        return TABLES

    def sources(self) -> list[str]:
        return ["live", "lake"]


def words(text: str, at: int | None = None) -> list[str]:
    found = completions(text, len(text) if at is None else at, Words(Catalog()))
    return [one.text for one in found]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("sel", ["select"]),
        ("SEL", ["SELECT"]),
        ("SELECT * FROM acc", ["account"]),
        ("SELECT * FROM account, od", ['"Odd Table"']),
        ("select * from x join ", ["account", '"Odd Table"', "broken"]),
        ("SELECT id FROM account WHERE bal", ["balance"]),
        ("SELECT a.b", []),
        ("SELECT approx_dis", ["approx_distinct("]),
        ("\\d acc", ["account"]),
        ("\\t", ["\\timing"]),
        ("\\x o", ["on", "off"]),
        ("\\format ts", ["tsv"]),
        ("\\source l", ["live", "lake"]),
        ("DESCRIBE bro", ["broken"]),
    ],
)
def test_the_word_before_the_cursor_is_completed(text: str, first: list[str]) -> None:
    assert words(text)[: len(first)] == first
    assert first or not words(text)


def test_names_stay_when_the_server_does_not_answer_later() -> None:
    @dataclass
    class Failing(Catalog):
        def tables(self) -> list[Table]:
            if self.calls:
                raise Unreachable("no connection")
            return Catalog.tables(self)

    now = [0.0]
    known = Words(Failing(), lambda: now[0])
    assert known.tables() == TABLES
    now[0] = 1000.0
    assert known.tables() == TABLES
    never = Words(Failing(calls=1))
    with pytest.raises(Unreachable):
        never.tables()


def test_columns_follow_their_table_or_its_alias() -> None:
    text = 'SELECT o. FROM "Odd Table" AS o, account'
    assert words(text, len("SELECT o.")) == ['"The Day"', '"order"']
    text = "SELECT account.b FROM account"
    assert words(text, len("SELECT account.b")) == ["balance"]


def test_a_completion_replaces_what_was_typed_of_the_word() -> None:
    (found,) = completions('SELECT "the d', 13, Words(Catalog()))
    assert (found.text, found.replaced, found.kind) == ('"The Day"', 6, "date")


def test_tables_are_asked_for_once_a_minute_and_source() -> None:
    time_s = [0.0]
    session = Catalog()
    known = Words(session, lambda: time_s[0])
    for _ in range(3):
        known.tables()
    assert session.calls == 1
    session.source = "lake"
    known.tables()
    assert session.calls == 2
    time_s[0] += 61
    known.tables()
    assert session.calls == 3


def test_a_name_is_quoted_unless_it_is_a_plain_word() -> None:
    assert [quoted(name) for name in ("plain", "Plain", "select", 'a"b', "1a", "")] == [
        "plain",
        '"Plain"',
        '"select"',
        '"a""b"',
        '"1a"',
        '""',
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "SELECT 1;",
        "SELECT 1; -- and so\n",
        "\\d",
        "exit",
        "SELECT ';';",
        "quit;",
        ";",
        ";;",
        " exit ; ",
        "SELECT 1\n\\q",
        "SELECT 1 -- '\n  \\x",
    ],
)
def test_enter_runs_what_is_whole(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT ';",
        'SELECT ";',
        "SELECT 1 -- ;",
        "/* ; */",
        "SELECT 1; SELECT 2",
        "SELECT '\n\\q",
        'SELECT "a\n\\d',
        "SELECT 1 /* \n\\q",
        "/*\n\\q",
        "SELECT 1\nexit",
    ],
)
def test_enter_begins_a_line_otherwise(text: str) -> None:
    assert not is_whole(text)


def test_a_text_is_taken_apart_into_statements_and_commands() -> None:
    text = "\\d\nSELECT\n'\\d;'\n;SELECT 2;\\x\n;\nexit\nSELECT 3"
    assert list(parts_of(text)) == [
        "\\d",
        "SELECT\n'\\d;'",
        "SELECT 2",
        "\\x",
        "exit",
        "SELECT 3",
    ]


def test_a_command_amid_a_statement_is_no_part_of_it() -> None:
    """Else it would be a syntax error, and \\q would not leave."""
    assert next(parts_of("SELECT 1\n\\q")) == "\\q"
    parts = parts_of("SELECT 1; SELECT\n\\timing\n")
    assert next(parts) == "SELECT 1"
    with pytest.raises(CommandError, match=r"before \\timing has no ; yet, so it was not run"):
        next(parts)


@pytest.mark.parametrize("width", [30, 40, 80, 119, 500])
@pytest.mark.parametrize("ahead", ["", "'東京', " * 50, "x, " * 500])
@pytest.mark.parametrize("after", ["", ", y" * 500])
def test_a_line_with_an_error_fits_the_terminal(width: int, ahead: str, after: str) -> None:
    sql = f"SELECT {ahead}wrong{after}"
    error = RunError("code", "wrong", line=1, column=len(f"SELECT {ahead}") + 1)
    failure = RunFailed(RunInfo("r", State.FAILED, sql=sql, error=error))
    line, carets, _ = error_lines(failure, sql, width)
    assert width_of(line) <= max(40, min(width, MAX_LINE))
    beginning = line[: line.rindex("wrong")]
    assert carets == " " * width_of(beginning) + "^^^^^"


def failed(sql: str, line: int, column: int, message: str = "wrong") -> list[str]:
    error = RunError("code", message, line=line, column=column)
    return list(error_lines(RunFailed(RunInfo("r", State.FAILED, sql=sql, error=error)), sql))


def test_carets_are_below_the_word_however_wide_the_line_is() -> None:
    assert failed("SELECT a, bcd FROM t", 1, 11)[:2] == ["SELECT a, bcd FROM t", "          ^^^"]
    assert failed("SELECT '東京', b", 1, 14)[:2] == ["SELECT '東京', b", "               ^"]
    assert failed("SELECT\n\tb", 2, 2)[:2] == ["2: \\tb", "     ^"]
    line, carets, _ = failed("SELECT " + "x, " * 500 + "wrong FROM t", 1, 1508)
    assert len(line) < 2 * MAX_LINE
    assert line[carets.index("^") :].startswith("wrong")


def test_an_error_commands_no_terminal() -> None:
    text = "\n".join(failed("SELECT \x1b]0;x\x07", 1, 8, "what \x1b[2J\n\x9b is \u202e"))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\\x1b[2J" in text


def test_the_history_is_private_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "config" / "history"
    private_history(path)
    assert path.stat().st_mode & 0o777 == 0o600
    entry = b"\n# 2026-11-29\n+SELECT 1;\n"
    path.write_bytes(entry * (MAX_HISTORY_BYTES // len(entry) + 2))
    private_history(path)
    kept = path.read_bytes()
    assert MAX_HISTORY_BYTES // 2 - len(entry) <= len(kept) <= MAX_HISTORY_BYTES // 2
    assert kept.startswith(b"\n# ")
    assert kept.endswith(entry)


@pytest.mark.parametrize(
    "words", ["a \\$(touch x)", "`touch x`", "'; touch x; '", "x[/]", "\x1b[2J"]
)
def test_what_stands_beside_a_completion_is_no_code_of_a_shell(words: str) -> None:
    assert not set("\\$`'\"[]\x1b") & set(harmless(words))


def test_a_name_that_bash_would_take_apart_is_completed_by_the_other_shells_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "complete_bash")
    assert not is_plain("odd name")
    assert is_plain("rates.eur-1")
    monkeypatch.setenv(VARIABLE, "complete_zsh")
    assert is_plain("odd name")
    assert not is_plain("a\\$(touch x)")
    assert not is_plain("a\nb")


@pytest.mark.parametrize("end", [" \\g", "\n\\g", ";\\g", "\\g  "])
def test_a_statement_ends_as_in_other_shells(end: str) -> None:
    assert is_whole(f"SELECT 1{end}")
    assert list(parts_of(f"SELECT 1{end}\nSELECT 2;")) == ["SELECT 1", "SELECT 2"]
    other = end.replace("\\g", "\\gx")
    assert list(parts_of(f"SELECT 0; SELECT 1{other}")) == ["SELECT 0", f"{EXPANDED}SELECT 1"]
    assert list(parts_of(f"SELECT 1{end.replace('g', 'G')}")) == [f"{EXPANDED}SELECT 1"]


@pytest.mark.parametrize("text", ["SELECT '\\g", "/* \\gx", 'SELECT "a\\G'])
def test_within_a_text_a_name_or_a_comment_nothing_ends_a_statement(text: str) -> None:
    assert not is_whole(text)


def test_commands_of_other_shells_are_no_beginning_of_a_statement() -> None:
    for text in (".tables", " .exit", "\\gx"):
        assert is_whole(text)
        assert list(parts_of(text)) == [text.strip()]


def test_a_statement_knows_the_line_in_which_it_begins() -> None:
    text = "SELECT 1;\n\nSELECT\n 2; SELECT 3\n;\n\\x\nSELECT 4 \\gx\n-- c\n\n\nSELECT 5"
    found = [(part.line, part.text.split()[-1]) for part in numbered_parts(text)]
    assert found == [(1, "1"), (3, "2"), (4, "3"), (6, "\\x"), (7, "4"), (8, "5")]
    long = "\n".join(f"SELECT {n}\n;" for n in range(200))
    assert [part.line for part in numbered_parts(long)] == list(range(1, 400, 2))
