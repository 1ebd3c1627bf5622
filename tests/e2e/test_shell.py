"""The shell as a person uses it: in a terminal, whose screen is compared as text, and in a pipe."""

from __future__ import annotations

import gzip
import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from queryrun.cli.home import init_home
from queryrun_client import Client
from tests.e2e.conftest import Server, ServerHarness
from tests.e2e.terminal import CTRL_C, CTRL_D, ENTER, TAB, Terminal
from tests.e2e.test_cli import COMMAND, Shell

EVIL = "a\x1b]0;owned\x07b\x9b31mc\u202ee"
"""Sets the title, colours and direction of a terminal that receives it raw."""
Open = Callable[..., Terminal]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A served home with three tables, one of them hostile."""
    directory = tmp_path_factory.mktemp("shell")
    home = init_home(directory / "home", entity="main", factor=None)
    harness = ServerHarness(home, directory / "log")
    (home.data_dir / "rates.csv").write_text("code,rate\neur,1.5\nusd,1.25\n")
    (home.data_dir / "odd name.csv").write_text("plain,Odd Column\n1,2\n")
    (home.data_dir / "evil.csv").write_text(f'name,"x\x1b[2Jy"\n"{EVIL}",1\n')
    yield harness.serve({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})
    harness.close()


@pytest.fixture
def home(served: Server, tmp_path: Path) -> Shell:
    """A shell of the system that knows the server."""
    work = tmp_path / "work"
    work.mkdir()
    shell = Shell(served, tmp_path / "config", work)
    shell.login(served.made)
    return shell


@pytest.fixture
def opened(home: Shell) -> Iterator[Open]:
    terminals: list[Terminal] = []

    def open_shell(*arguments: str, columns: int = 100) -> Terminal:
        command = [*COMMAND, "shell", *arguments]
        environ = {k: v for k, v in home.environ.items() if k != "COLUMNS"}
        terminals.append(Terminal(command, environ, home.work, columns))
        terminals[-1].wait_for("queryrun>")
        return terminals[-1]

    yield open_shell
    for terminal in terminals:
        terminal.close()


def test_a_person_asks_looks_around_errs_and_leaves(home: Shell, opened: Open) -> None:
    """One session, because a terminal takes longest to start."""
    terminal = opened()
    terminal.type(f"SELECT code,{ENTER}rate{ENTER}")
    screen = terminal.enter("FROM rates ORDER BY 1;", "(2 rows)")
    assert "queryrun> SELECT code,\n      ...> rate\n      ...> FROM rates ORDER BY 1;" in screen
    assert "code  rate\n────  ────\neur    1.5\nusd   1.25\n(2 rows)" in screen

    assert "odd name" in terminal.enter("\\d", "(3 tables)")
    assert "code    varchar\nrate    double\n(format: csv" in terminal.enter(
        "\\d rates", "(format: "
    )
    terminal.enter("\\d nothing", "queryrun: Table 'nothing' could not be found")

    terminal.type(f"SELECT 1,{ENTER}")
    screen = terminal.enter("  wrong FROM rates;", "(name_not_found)")
    assert "2:   wrong FROM rates\n     ^^^^^\nerror: line 2, column 3: Column 'wrong'" in screen

    terminal.enter("\\x", "Rows are shown one line per value.")
    screen = terminal.enter("SELECT 7 AS seven;", "(1 row)")
    assert "─[ row 1 ]" in screen
    assert "seven  7\n(1 row)" in screen
    terminal.enter("\\unknown", "queryrun: there is no command \\unknown: \\? lists them")
    terminal.type(CTRL_D)
    assert terminal.exit_status() == 0
    check_history(home.config / "queryrun" / "shell_history", opened)


def check_history(path: Path, opened: Open) -> None:
    """It is its owner's alone, also one that was not, and the next shell has it."""
    assert "FROM rates ORDER BY 1;" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    again = opened()
    again.type("\x1b[A")
    again.wait_for("queryrun> \\unknown")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_words_are_completed_from_the_server_and_the_language(opened: Open) -> None:
    terminal = opened()
    terminal.type(f"sel{TAB}")
    terminal.wait_for("queryrun> select")
    terminal.type(f" * from rat{TAB}")
    terminal.wait_for("queryrun> select * from rates")
    terminal.type(f" where co{CTRL_C}")
    terminal.wait_for_prompt()
    terminal.type(f'SELECT "odd c{TAB}')
    terminal.wait_for('SELECT "odd column"')
    terminal.type(f' FROM "odd{TAB}')
    terminal.wait_for('FROM "odd name"')
    terminal.enter(";", "(1 row)")
    terminal.type(f"\\tim{TAB}")
    terminal.wait_for("\\timing")
    terminal.enter("", "Timing is on.")
    terminal.type(f"SELECT approx_dist{TAB}")
    terminal.wait_for("SELECT approx_distinct(")


ENDLESS = ", ".join(f"UNNEST(sequence(1, 10000)) AS t{n}(x{n})" for n in range(4))


def test_ctrl_c_cancels_the_run_proves_it_and_keeps_the_shell(home: Shell, opened: Open) -> None:
    """And a terminal that is closed leaves no run behind."""
    terminal = opened("--source", "live")
    terminal.type(f"SELECT count(*) FROM {ENDLESS};{ENTER}")
    terminal.wait_for("in_progress")
    terminal.type(CTRL_C)
    terminal.wait_for(" canceled")
    run = newest_run(home)
    screen = terminal.wait_for_prompt()
    assert f"canceling run {run['id']}" in screen
    assert f"run {run['id']} canceled" in screen
    assert run["state"] == "canceled"
    terminal.enter("SELECT 5 AS five;", "(1 row)")

    terminal.type(f"SELECT count(*) + 1 FROM {ENDLESS};{ENTER}")
    terminal.wait_for("in_progress")
    os.kill(terminal.process.pid, signal.SIGHUP)
    terminal.exit_status()
    second = newest_run(home)
    assert "count(*) + 1" in second["sql"]
    assert second["state"] == "canceled"


def newest_run(home: Shell) -> dict[str, str]:
    run: dict[str, str] = home.server.http.get("/v2/query_runs").json()["data"][0]
    return run


def test_no_control_character_of_a_value_or_an_error_reaches_the_terminal(opened: Open) -> None:
    terminal = opened(columns=160)
    escaped = "'a' || chr(27) || ']0;owned' || chr(7) || 'b' || chr(155) || '31m' || chr(8238)"
    for entry, expected in (
        (f"SELECT {escaped} AS v;", "a\\x1b]0;owned\\x07b\\x9b31m\\u{202e}"),
        ("SELECT * FROM evil;", "x\\x1b[2jy"),
        ("\\d evil", "x\\x1b[2jy"),
        (f"SELECT CAST({escaped} AS integer);", "error: "),
    ):
        terminal.enter(entry, expected)
    terminal.type(CTRL_D)
    assert terminal.exit_status() == 0
    for raw in (b"\x1b]0;owned", b"\x07", "\x9b".encode(), "\u202e".encode(), b"\x1b[2jy"):
        assert raw not in terminal.received


def test_results_go_into_files_in_the_format_of_their_suffix(home: Shell) -> None:
    script = (
        "\\o one.csv\nSELECT 1 AS a;\nSELECT 2 AS a;\n\\o two.parquet\nSELECT 3 AS b;\n"
        "\\o\n\\format json\nSELECT 4 AS c;\n"
    )
    done = home("shell", "--quiet", stdin=script)
    assert done.returncode == 0, done.stderr
    assert (home.work / "one.csv").read_text() == "a\n1\na\n2\n"
    assert (home.work / "two.parquet").read_bytes().startswith(b"PAR1")
    assert done.stdout.endswith('{"c":4}\n')


def test_a_file_of_results_is_compressed_and_leaves_the_terminal_as_it_was(home: Shell) -> None:
    script = (
        "\\format json\n\\o one.CSV.gz\nSELECT 1 AS a;\nSELECT 2 AS a;\n\\o\nSELECT 3 AS b;\n"
        "\\format table\n\\o all.txt\nSELECT x FROM UNNEST(sequence(1, 1500)) AS t(x);\n"
    )
    done = home("shell", "--quiet", stdin=script)
    assert done.returncode == 0, done.stderr
    assert "Results go to one.CSV.gz, as csv, gzip." in done.stdout
    assert '{"b":3}' in done.stdout
    assert gzip.decompress((home.work / "one.CSV.gz").read_bytes()) == b"a\n1\na\n2\n"
    lines = (home.work / "all.txt").read_text().splitlines()
    assert lines[-2:] == ["1500", "(1,500 rows)"]


def test_a_shell_runs_the_statements_of_a_file(home: Shell) -> None:
    (home.work / "q.sql").write_bytes(
        b"\xef\xbb\xbf-- two; statements\r\nSELECT ';' AS a;\r\n\\set n=2\r\nSELECT :n AS b"
    )
    assert home("shell", "-q", stdin="\\i q.sql\nSELECT 3 AS c;").stdout == (
        "a\n;\nParameters: :n.\nb\n2\nc\n3\n"
    )
    (home.work / "again.sql").write_text("\\i again.sql\n")
    (home.work / "broken.sql").write_text("SELECT 1 AS a;\nSELECT\n nope;\nSELECT 2 AS b;")
    for script, status, message in (
        ("\\i again.sql", 1, "again.sql: 8 files read each other already"),
        ("\\i none.sql", 1, "none.sql: No such file or directory"),
        ("\\i", 1, "give a file"),
        ("\\source q.sql", 1, "q.sql is a file: \\i q.sql runs its statements"),
        ("\\i broken.sql\nSELECT 9 AS c;", 3, "2:  nope"),
        ("SELECT 1\n\\timing\n", 1, "before \\timing has no ; yet, so it was not run"),
        ("\\o /none/x.csv", 1, "the directory /none does not exist"),
        ("\\o x.xls", 1, ".xls is no format of results"),
        ("\\o .", 1, "is a directory: name a file"),
    ):
        done = home("shell", stdin=script)
        assert (done.returncode, message in done.stderr) == (status, True), done.stderr


def test_a_file_is_what_its_suffix_says_or_is_refused_before_anything_runs(home: Shell) -> None:
    home.ok("run", "SELECT 1 AS a", "-o", "one.Parquet")
    assert (home.work / "one.Parquet").read_bytes().startswith(b"PAR1")
    home.ok("run", "SELECT 12.30 AS a", "-o", "table.txt", "--format", "table")
    assert (home.work / "table.txt").read_text() == "    a\n─────\n12.30\n(1 row)\n"
    into = home("run", "SELECT 1 AS a", "-o", ".")
    (name,) = home.work.glob("*.csv")
    assert into.stderr == f"queryrun: 1 row in {name.name}\n"
    before = newest_run(home)["id"]
    for output, message in (
        ("/none/a.csv", "the directory /none does not exist"),
        ("a.xls", ".xls is no format of results"),
    ):
        assert message in home("run", "SELECT 1", "-o", output).stderr
    assert newest_run(home)["id"] == before


def test_the_first_error_of_a_pipe_ends_it_with_its_status(home: Shell) -> None:
    for script, status, message in (
        ("\\o x.xlsx\n", 1, ".xlsx is no format of results"),
        ("\\source nowhere\n", 1, "must be one of live"),
        ("SELECT 1; SELECT FROM;SELECT 2", 3, "       ^^^^\nerror: line 1, column 8"),
    ):
        done = home("shell", stdin=script)
        assert done.returncode == status, done.stderr
        assert message in done.stderr


def test_an_error_late_in_a_script_says_in_which_line_its_statement_begins(home: Shell) -> None:
    script = "SELECT 1;\n" * 3 + "SELECT\n  nope;\n"
    done = home("shell", stdin=script)
    assert "2:   nope\n" in done.stderr
    assert done.stderr.endswith("queryrun: the statement begins in line 4 of standard input\n")
    (home.work / "late q.sql").write_text(script)
    done = home("shell", stdin="\\i 'late q.sql'")
    assert "the statement begins in line 4 of 'late q.sql'" in done.stderr


def test_what_other_shells_have_works_or_is_named(home: Shell) -> None:
    done = home("shell", "--format", "table", stdin="SELECT 7 AS a \\gx\nSELECT 8 AS b\\g\n\\dt\n")
    assert "─[ row 1 ]" in done.stdout
    assert "a  7\n(1 row)" in done.stdout
    assert "b\n─\n8\n(1 row)" in done.stdout
    assert "rates" in done.stdout
    for command in (".tables", "\\copy", "\\gx"):
        refused = home("shell", stdin=f"{command}\n")
        assert refused.returncode == 1
        assert f"{command}" in refused.stderr


def test_a_pipe_gets_rows_and_nothing_else(home: Shell) -> None:
    done = home("shell", stdin="SELECT 1 AS a; -- one; two\nSELECT ';' AS b\n;SELECT 3 AS c")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n1\nb\n;\nc\n3\n", "")


def test_a_reader_that_has_enough_is_no_message(home: Shell) -> None:
    command = f"{COMMAND[0]} -m queryrun.cli shell | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command],
        input="SELECT x FROM UNNEST(sequence(1, 9999)) AS t(x);\n" * 20,
        capture_output=True,
        text=True,
        cwd=home.work,
        env=home.environ,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("x\n", "")


# --- parameters -----------------------------------------------------------------------------


def test_a_parameter_is_bound_by_the_type_that_its_form_or_its_name_says(home: Shell) -> None:
    out = home.ok(
        "run",
        "SELECT :n + 1 AS n, :price AS price, :code AS code, date_add('day', 1, :day) AS day",
        "-p", "n=41", "-p", "price=12.30", "-p", "code=007", "-p", "day:date=2024-02-28",
    )  # fmt: skip
    assert out == "n,price,code,day\n42,12.30,007,2024-02-29\n"


def test_what_would_be_sql_in_a_statement_is_a_text_as_a_parameter(home: Shell) -> None:
    attack = "x' OR '1'='1'; DROP TABLE t --"
    assert home.ok("run", "SELECT :x = 'x' AS equal", "-p", f"x={attack}") == "equal\nfalse\n"
    assert home.ok("run", "SELECT :x AS x", "-p", f"x={attack}") == f"x\n{attack}\n"


def test_statements_of_a_file_get_the_parameters_that_they_name(home: Shell) -> None:
    script = "SELECT :a AS a; SELECT :b AS b;"
    assert home.ok("run", "-p", "a=1", "-p", "b=2", stdin=script) == "a\n1\nb\n2\n"
    refused = home("run", "-p", "a=1", "-p", "c=2", stdin=script)
    assert refused.returncode == 1
    assert "no statement has the parameter :c" in refused.stderr


def test_a_parameter_that_is_missing_or_unused_is_said_before_there_is_a_run(home: Shell) -> None:
    for arguments, words in (
        (["SELECT :day"], "the parameter :day"),
        (["SELECT 1", "-p", "day=1"], "no parameter :day"),
        (["SELECT :day", "-p", "day:date=31.1.2024"], "write it as 2024-01-31"),
    ):
        refused = home("run", *arguments)
        assert refused.returncode == 1
        assert words in refused.stderr


def test_a_shell_keeps_parameters_for_the_statements_that_name_them(home: Shell) -> None:
    script = "\\set day:date=2024-01-31\nSELECT :day AS day;\nSELECT 1 AS a;\n\\unset day\n\\set\n"
    done = home("shell", "-p", "n=1", stdin=script)
    assert done.stdout == (
        "Parameters: :n, :day.\nday\n2024-01-31\na\n1\nParameters: :n.\nParameters: :n.\n"
    )
    missing = home("shell", stdin="SELECT :day;")
    assert missing.returncode == 1
    assert "the parameter :day" in missing.stderr


def test_the_client_binds_values_of_python_and_gets_the_same_back(served: Server) -> None:
    issued = served.made.issued
    values = {
        "amount": Decimal("12.30"),
        "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 23, 59, 59, 123456),
        "moment": datetime(2024, 2, 29, 12, tzinfo=UTC),
        "text": "o'clock; DROP TABLE rates --",
        "nothing": None,
        "ids": [3, 1, None],
    }
    sql = f"SELECT {', '.join(f':{name} AS {name}' for name in values)}"
    with Client(served.url, issued.client.id, issued.secret) as client:
        (row,) = client.to_arrow(sql, parameters=values).to_pylist()
        assert {name: row[name] for name in values} == values
        assert client.to_arrow("SELECT ? + ? AS sum", parameters=[40, 2]).to_pylist() == [
            {"sum": 42}
        ]
