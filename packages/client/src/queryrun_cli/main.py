"""The `queryrun` command: parse, call one function, print."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

from queryrun_cli import admin, commands, plugins, webhooks
from queryrun_cli.errors import REFUSED, CommandError
from queryrun_cli.group import Commands
from queryrun_cli.printable import printable
from queryrun_cli.sentences import sentence_of

DISTRIBUTION = "queryrun-client"
"""Whose version `--version` prints."""
_HELP = get_command_name(commands.help.__name__)
"""The command that explains all others, and has to find them."""


def program() -> typer.Typer:
    """The user's commands, and those of every installed plugin."""
    app = typer.Typer(
        cls=Commands,
        name="queryrun",
        help="SQL over HTTP as durable runs, with a cancel that means stopped.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    commands.register(app)
    admin.register(app)
    webhooks.register(app)
    for plugin in plugins.installed():
        plugin.register(app)
    return app


def program_for(arguments: Sequence[str]) -> typer.Typer:
    """The program as far as these arguments use it: with the command or group that the first one
    names. To read the declarations of all sixty takes longer than most commands do."""
    app = program()
    named = arguments[0] if arguments else ""
    if named == _HELP:
        return app
    commands = [one for one in app.registered_commands if _name_of(one) == named]
    groups = [one for one in app.registered_groups if one.name == named]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups
    return app


def _name_of(command: CommandInfo) -> str:
    """As typer makes it of the function's."""
    if command.name or command.callback is None:
        return command.name or ""
    return get_command_name(command.callback.__name__)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"queryrun {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """The options of the program itself."""


def main() -> None:
    """Run the command line; errors that are no bugs are one line on stderr and exit status 1."""
    _open_streams()
    try:
        program_for(sys.argv[1:])()
    except KeyboardInterrupt:  # while the command was still being read: nothing has begun
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # the reader of our output has enough
        _discard_output()
        sys.exit(REFUSED)
    except Exception as error:
        sentence = _sentence_in_need(error)
        if sentence is None:
            raise
        with contextlib.suppress(OSError):
            typer.echo(printable(f"queryrun: {sentence}"), err=True)
        _discard_output()
        sys.exit(REFUSED)


def _sentence_in_need(error: Exception) -> str | None:
    """Without descriptors or memory nothing more can be imported: then that is the sentence."""
    try:
        return _sentence(error)
    except (OSError, MemoryError) as shortage:
        return sentence_of(shortage)


def _sentence(error: Exception) -> str | None:
    """The first that knows the error says it: a command, a plugin, the system."""
    if isinstance(error, CommandError):
        return str(error)
    for plugin in plugins.installed():
        if (sentence := plugin.explain(error)) is not None:
            return sentence
        if isinstance(error, plugin.errors):
            return str(error)
    return sentence_of(error) or _sentence_of_client(error)


def _sentence_of_client(error: Exception) -> str | None:
    """Imported late, as `--help` would have to wait for the whole client: only a command that has
    used it gets here."""
    from queryrun_cli.exits import describe
    from queryrun_client import ClientError

    return describe(error) if isinstance(error, ClientError) else None


def _open_streams() -> None:
    """Standard streams that were closed lead nowhere; others take any character.

    A closed one would be taken by the next file that is opened: a log line would then be written
    into a database.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """The interpreter flushes at exit, which must not fail a second time."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
