"""The `queryrun` command: parse, call one function, print."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from queryrun_cli import admin, commands, plugins
from queryrun_cli.errors import CommandError

DISTRIBUTION = "queryrun-client"
"""Whose version `--version` prints."""


def program() -> typer.Typer:
    """The user's commands, and those of every installed plugin."""
    app = typer.Typer(
        name="queryrun",
        help="SQL over HTTP as durable runs, with a cancel that means stopped.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    commands.register(app)
    admin.register(app)
    for plugin in plugins.installed():
        plugin.register(app)
    return app


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        typer.echo(f"queryrun {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


def main() -> None:
    """Run the command line; expected errors are one line on stderr and exit status 1."""
    expected: list[type[Exception]] = [CommandError]
    for plugin in plugins.installed():
        expected += plugin.errors
    try:
        program()()
    except tuple(expected) as error:
        typer.echo(f"queryrun: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
