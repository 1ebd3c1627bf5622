"""Exit statuses of the commands that use a server, and the errors that lead to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from queryrun_cli.ending import discard
from queryrun_cli.errors import REFUSED as REFUSED
from queryrun_cli.hints import COMMAND, Words, hint
from queryrun_cli.printable import printable
from queryrun_client import ClientError, RunCanceled, RunFailed, StillRunning, Unreachable

DONE = 0
USAGE = 2
FAILED = 3
CANCELED = 4
UNREACHABLE = 5
STILL_RUNNING = 6
TOO_LATE = 7
INTERRUPTED = 130

KINDS: dict[type[ClientError], int] = {
    RunFailed: FAILED,
    RunCanceled: CANCELED,
    Unreachable: UNREACHABLE,
    StillRunning: STILL_RUNNING,
}
"""Every other error of the client is `REFUSED`."""


def status_of(error: ClientError) -> int:
    """The exit status for an error."""
    return next((status for kind, status in KINDS.items() if isinstance(error, kind)), REFUSED)


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the client and of files into one line on stderr and an exit status."""
    try:
        yield
    except ClientError as error:
        note(describe(error))
        raise typer.Exit(status_of(error)) from None
    except BrokenPipeError:  # the reader of our output has enough; `main` knows
        raise
    except OSError as error:
        note(f"{error.filename or 'files'}: {error.strerror or error}")
        raise typer.Exit(REFUSED) from None


def describe(error: ClientError, words: Words = COMMAND) -> str:
    """The error in one line, with line and column in the statement if it has them, and what to do
    next."""
    following = hint(error, words)
    return f"{error}. {following}" if following else str(error)


def note(text: str) -> None:
    """Print a line for people on stderr. What a server says in it cannot command the terminal.

    Where nobody reads it any more, as `tee` that Ctrl-C has ended too, the command goes on: perhaps
    it has a run to cancel.
    """
    try:
        typer.echo(printable(f"queryrun: {text}"), err=True)
    except OSError:
        discard(sys.stderr.fileno())
