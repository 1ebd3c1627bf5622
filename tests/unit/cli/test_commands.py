"""What the command line promises as a whole."""

from __future__ import annotations

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from queryrun.settings.file import CLIENT_VARIABLES
from queryrun_cli import main as main_module
from queryrun_cli.commands import EXITS
from queryrun_cli.exits import INTERRUPTED
from queryrun_cli.main import program


def test_help_of_a_command_lists_the_exit_statuses() -> None:
    output = " ".join(CliRunner().invoke(program(), ["cancel", "--help"]).output.split())
    assert " ".join(EXITS.split()) in output


def test_what_is_named_is_read_alone_and_is_what_the_whole_program_has() -> None:
    whole = _group(program())
    for name in whole.commands.keys() - {"help"}:
        named = _group(main_module.program_for([name, "--help"]))
        assert list(named.commands) == [name]
        assert _shape(named.commands[name]) == _shape(whole.commands[name])


@pytest.mark.parametrize("arguments", [[], ["--help"], ["cansel", "x"], [""], ["help", "ls"]])
def test_without_a_name_that_exists_every_command_is_there(arguments: list[str]) -> None:
    """For the list in `--help`, for `help`, for completion, and for the name that was meant."""
    assert list(_group(main_module.program_for(arguments)).commands) == list(
        _group(program()).commands
    )


@pytest.mark.parametrize("name", [[], ["ls"], ["admin", "runs"]])
def test_help_prints_of_a_command_what_the_command_prints_of_itself(name: list[str]) -> None:
    helped = CliRunner().invoke(main_module.program_for(["help", *name]), ["help", *name])
    itself = CliRunner().invoke(program(), [*name, "--help"])
    assert helped.exit_code == 0
    assert helped.output == itself.output


def _group(app: typer.Typer) -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def _shape(command: object) -> object:
    """Names of parameters, and those of the commands below."""
    below = command.commands if isinstance(command, TyperGroup) else {}
    return [one.name for one in getattr(command, "params", [])], {
        name: _shape(one) for name, one in below.items()
    }


def test_no_option_takes_a_secret() -> None:
    for command in ("login", "run", "decrypt"):
        output = CliRunner().invoke(program(), [command, "--help"]).output
        assert "--secret " not in output
        assert "--client-secret" not in output
        assert "--password" not in output


def test_cancel_requires_ids_or_all() -> None:
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


def test_an_interrupt_before_a_command_begins_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "program", interrupted)
    with pytest.raises(SystemExit) as exited:
        main_module.main()
    assert exited.value.code == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_param_has_the_short_option_and_profile_another_one() -> None:
    for command in ("run", "shell"):
        output = CliRunner().invoke(program(), [command, "--help"]).output
        assert "-p" in output
        assert "-P" in output
