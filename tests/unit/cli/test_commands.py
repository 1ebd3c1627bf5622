"""What the command line promises as a whole."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from queryrun.settings import CLIENT_VARIABLES
from queryrun_cli.commands import EXITS
from queryrun_cli.main import program

FIRM = ("httpx2", "rich", "duckdb", "pyarrow", "starlette", "msgspec")


def test_help_imports_nothing_heavy() -> None:
    """Its bar is 150 ms (issue 8); the time is measured in benchmarks, the cause is kept here."""
    program_made = "import sys, queryrun_cli.main as main; main.program()"
    code = f"{program_made}\nprint([name for name in {FIRM!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_of_a_command_tells_the_exit_statuses() -> None:
    output = " ".join(CliRunner().invoke(program(), ["cancel", "--help"]).output.split())
    assert " ".join(EXITS.split()) in output


def test_no_option_takes_a_secret() -> None:
    for command in ("login", "run", "decrypt"):
        output = CliRunner().invoke(program(), [command, "--help"]).output
        assert "--secret " not in output
        assert "--client-secret" not in output
        assert "--password" not in output


def test_cancel_wants_ids_or_all() -> None:
    assert CliRunner().invoke(program(), ["cancel"]).exit_code == 2
    assert CliRunner().invoke(program(), ["cancel", "x", "--all"]).exit_code == 2


def test_every_variable_the_commands_read_is_registered() -> None:
    import re
    from pathlib import Path

    import queryrun.cli
    import queryrun_cli

    folders = [Path(path) for package in (queryrun.cli, queryrun_cli) for path in package.__path__]
    sources = " ".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    read = set(re.findall(r"\"(QUERYRUN_[A-Z_]+)\"", sources))
    assert {name for name in read if "__" not in name} <= set(CLIENT_VARIABLES)
