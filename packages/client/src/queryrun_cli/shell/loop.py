"""Read entries and run them: from a terminal until `\\q`, from a pipe until the first error."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import typer

from queryrun_cli import exits
from queryrun_cli.ending import interrupt_on_signals
from queryrun_cli.errors import CommandError
from queryrun_cli.following import Interrupted
from queryrun_cli.hints import SHELL
from queryrun_cli.parameters import parameters_of
from queryrun_cli.remote import connect
from queryrun_cli.sentences import text_of
from queryrun_cli.shell.entries import EXPANDED, WORDS, is_command, numbered_parts, parts_of
from queryrun_cli.shell.execute import execute
from queryrun_cli.shell.meta import run_meta
from queryrun_cli.shell.session import FORMATS, Session
from queryrun_cli.table import TableOptions
from queryrun_client import ClientError
from queryrun_client.profiles import find_server

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """The options of `shell`."""

    source: str | None = None
    format: str | None = None
    expanded: bool | None = None
    pager: bool = False
    quiet: bool = False
    parameters: tuple[str, ...] = ()


def run_shell(options: ShellOptions, profile: str | None) -> None:
    """The shell of a server. Exits with one of the statuses in `exits`."""
    if options.format is not None and options.format not in FORMATS:
        raise typer.BadParameter(f"use one of {', '.join(FORMATS)}", param_hint="--format")
    with exits.translated(), connect(find_server(profile), quiet=options.quiet) as client:
        table = TableOptions(options.expanded, pager=options.pager)
        session = Session(client, options.source, table=table, quiet=options.quiet)
        session.format = options.format or session.format
        session.parameters = parameters_of(options.parameters)
        session.run_entry = lambda entry: run_entry(session, entry)
        if sys.stdin.isatty():
            _run_interactive(session)
        else:
            _run_piped(session)


def _run_interactive(session: Session) -> None:
    """An error or Ctrl-C ends a statement and not the shell. A terminal that is closed ends both:
    no run is left behind."""
    from queryrun_cli.shell.prompt import entries

    session.client.authenticate()  # a wrong secret is told now, and not after the first statement
    with _exit_on_signals(session):
        for entry in entries(session):
            with suppress(KeyboardInterrupt):  # pressed once more
                _run_and_tell(session, entry)
            if session.is_done:
                return


def _run_and_tell(session: Session, entry: str) -> None:
    try:
        for one in parts_of(entry):
            run_entry(session, one)
    except Interrupted:
        return
    except CommandError as error:
        exits.note(str(error))
    except typer.BadParameter as error:
        exits.note(error.message)
    except ClientError as error:
        if not isinstance(error, _Printed):
            exits.note(exits.describe(error, SHELL))
    except OSError as error:
        exits.note(f"{error.filename or 'files'}: {error.strerror or error}")


class _Printed(ClientError):
    """An error that was printed below its statement."""


def _run_piped(session: Session) -> None:
    """Whatever comes after an error may depend on what failed: the first one ends the shell."""
    try:
        text = text_of(sys.stdin.buffer, "standard input")
    except ValueError as error:
        raise CommandError(str(error)) from error
    interrupt_on_signals()
    status = 0
    try:
        for part in numbered_parts(text):
            session.line = part.line
            run_entry(session, part.text)
            if session.is_done:
                return
    except Interrupted:
        status = exits.INTERRUPTED
    except _Printed as error:
        if session.line > 1 and not session.quiet:
            exits.note(f"the statement begins in line {session.line} of standard input")
        status = exits.status_of(error.__cause__)  # type: ignore[arg-type]
    if status:
        raise typer.Exit(status)


def run_entry(session: Session, entry: str) -> None:
    """Run one statement or command. Raises `_Printed` for an error that was printed."""
    if entry.startswith(EXPANDED):
        with session.expanded_once():
            run_entry(session, entry.removeprefix(EXPANDED))
        return
    if is_command(entry):
        run_meta(session, WORDS.get(entry.rstrip("; ").lower(), entry))
        return
    try:
        execute(session, entry)
    except ClientError as error:
        raise _Printed(str(error)) from error


@contextmanager
def _exit_on_signals(session: Session) -> Iterator[None]:
    """A signal to end cancels the running statement first, like Ctrl-C."""

    def end(_number: int, _frame: object) -> None:
        session.is_done = True
        raise KeyboardInterrupt

    before: list[tuple[signal.Signals, Callable[..., object] | int | None]] = [
        (number, signal.signal(number, end)) for number in _ENDING
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
