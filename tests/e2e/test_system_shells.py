"""bash, zsh and fish as people have them: what Tab makes of the beginning of a command line.

A shell that is not installed is skipped and named; in CI that is a failure unless WITHOUT_SHELLS
is set. The words themselves are in `tests/unit/cli`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queryrun.cli.home import init_home
from tests.e2e.conftest import Server, ServerHarness
from tests.e2e.terminal import TAB, Terminal
from tests.e2e.test_cli import Shell
from tests.e2e.test_wheels import ROOT

SET_UP = {
    "bash": 'PS1="ready> "; eval "$(queryrun completion bash)"',
    "zsh": 'PS1="ready> "; autoload -Uz compinit; compinit -u; eval "$(queryrun completion zsh)"',
    "fish": 'function fish_prompt; echo "ready> "; end; queryrun completion fish | source',
}
"""The lines of the how-to, and a prompt to wait for."""
BARE = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}
CLEAR_LINE = "\x15"
Open = Callable[[str], Terminal]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A home with a table to complete, and a run whose statement is made to be executed."""
    directory = tmp_path_factory.mktemp("shells")
    home = init_home(directory / "home", entity="main", factor=None)
    harness = ServerHarness(home, directory / "log")
    (home.data_dir / "exchange_rates.csv").write_text("code,rate\neur,1.5\n")
    yield harness.serve({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})
    harness.close()


@pytest.fixture
def home(served: Server, tmp_path: Path) -> Shell:
    """A directory of its own, with a login to the server."""
    work = tmp_path / "work"
    work.mkdir()
    shell = Shell(served, tmp_path / "config", work)
    shell.login(served.made)
    return shell


@pytest.fixture
def opened(home: Shell) -> Iterator[Open]:
    terminals: list[Terminal] = []

    def open_shell(name: str) -> Terminal:
        program = shutil.which(name)
        if program is None:
            missing = f"{name} is not installed"
            if os.environ.get("CI") and not os.environ.get("WITHOUT_SHELLS"):
                pytest.fail(missing)
            pytest.skip(missing)
        environ = {
            "PATH": f"{ROOT / '.venv/bin'}:/usr/bin:/bin",
            "HOME": str(home.work),
            "XDG_CONFIG_HOME": str(home.config),
            "LANG": "C.UTF-8",
        }
        terminal = Terminal([program, *BARE[name]], environ, home.work)
        terminals.append(terminal)
        terminal.type(f"{SET_UP[name]}\r")
        terminal.wait_for("\nready>")
        return terminal

    yield open_shell
    for terminal in terminals:
        terminal.close()


@pytest.mark.parametrize("name", SET_UP)
def test_tab_completes_commands_states_and_names_that_the_server_knows(
    name: str, opened: Open, home: Shell
) -> None:
    terminal = opened(name)
    for typed, completed in (
        ("queryrun canc", "queryrun cancel"),
        ("queryrun ls --state in_", "queryrun ls --state in_progress"),
        ("queryrun describe exch", "queryrun describe exchange_rates"),
        ("queryrun run --format par", "queryrun run --format parquet"),
        ("queryrun show @", "queryrun show @last"),
        ("queryrun profiles use def", "queryrun profiles use default"),
        ("queryrun run --source li", "queryrun run --source live"),
    ):
        terminal.type(f"{typed}{TAB}")
        terminal.wait_for(f"ready> {completed}")
        terminal.type(CLEAR_LINE)


@pytest.mark.parametrize("name", SET_UP)
def test_the_statement_of_a_run_is_no_command_of_the_shell_that_completes_its_id(
    name: str, opened: Open, home: Shell
) -> None:
    """Others of the entity write statements, and zsh evaluates what stands beside a completion."""
    terminal = opened(name)
    for evil in ("SELECT '\\$(touch x)\\`touch y`'", "SELECT '[/]'"):
        run_id = str(home.server.submit(evil)["id"])
        terminal.type(f"queryrun show {run_id[:8]}{TAB}")
        terminal.wait_for(f"ready> queryrun show {run_id}")
        terminal.type(CLEAR_LINE)
    assert not [path for path in home.work.iterdir() if path.name in "xy"]
