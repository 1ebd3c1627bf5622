"""The `queryrun` command: parse, call one function, print."""

from __future__ import annotations

import sys

import typer

from queryrun_cli import admin, commands, plugins
from queryrun_cli.errors import CommandError


def program() -> typer.Typer:
    """The user's commands, and those of every installed plugin."""
    app = typer.Typer(
        name="queryrun",
        help="SQL over HTTP as durable runs, with a cancel that means stopped.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    commands.register(app)
    admin.register(app)
    for plugin in plugins.installed():
        plugin.register(app)
    return app


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
