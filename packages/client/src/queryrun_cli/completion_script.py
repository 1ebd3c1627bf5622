"""`queryrun completion SHELL`: what lets a shell of the system complete our words."""

from __future__ import annotations

import contextlib
import io
import os

import typer

from queryrun_cli.completing import SHELLS, VARIABLE

_FIRST_TAB = '[ "$funcstack[1]" = "_queryrun" ] && _queryrun_completion "$@"'
"""zsh loads a file of its `fpath` at the first Tab, which would only define the function."""


def print_script(context: typer.Context, shell: str) -> None:
    """Print it, to be evaluated or to be kept in a file. `typer.BadParameter` for another shell."""
    if shell not in SHELLS:
        raise typer.BadParameter(f"use one of {', '.join(SHELLS)}", param_hint="SHELL")
    typer.echo(_script(context, shell))
    if shell == "zsh":
        typer.echo(_FIRST_TAB)


def _script(context: typer.Context, shell: str) -> str:
    """The program prints it when it is asked in the way in which shells ask it."""
    os.environ[VARIABLE] = f"source_{shell}"
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        context.find_root().command.main([], prog_name="queryrun")
    return printed.getvalue().strip()
