"""The commands of a shell that begin with a backslash: one registry; the help follows from it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from queryrun_cli.errors import CommandError
from queryrun_cli.exits import note
from queryrun_cli.parameters import parameter_of
from queryrun_cli.sentences import text_of
from queryrun_cli.shell.entries import numbered_parts
from queryrun_cli.shell.session import FORMATS, Session
from queryrun_cli.tables import describe_lines, list_lines
from queryrun_client import ClientError, formats

_ON_OFF = {"on": True, "off": False}
MIN_HELP = 30
"""Cells of a line of help, however narrow the terminal is."""
MAX_DEPTH = 8
"""Of files that read files: one that reads itself would never end."""


@dataclass(frozen=True, slots=True)
class Meta:
    """One command."""

    name: str
    argument: str
    help: str
    run: Callable[[Session, str], None]


def run_meta(session: Session, line: str) -> None:
    """Run a line that begins with a backslash. `CommandError` for a command that does not exist."""
    name, _, argument = line.strip().rstrip(";").rstrip().partition(" ")
    found = BY_NAME.get(OTHER_NAMES.get(name, name))
    if found is None and name in ENDS:
        raise CommandError(f"there is no statement before {name}")
    if found is None:
        raise CommandError(f"there is no command {name}: \\? lists them")
    argument = argument.strip()
    if argument and not found.argument:
        raise CommandError(f"{name} takes nothing after it")
    found.run(session, argument)


def _describe(session: Session, name: str) -> None:
    if name:
        table = session.client.describe(_unquoted(name), session.source)
        session.write_lines(describe_lines(table, session.width, session.table))
        return
    session.write_lines(list_lines(session.tables(), session.width, session.table))


def _unquoted(name: str) -> str:
    """A table as a statement names it; without quotes upper case is lower case."""
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def _expanded(session: Session, argument: str) -> None:
    modes = {"on": True, "off": False, "auto": None}
    if argument and argument not in modes:
        raise CommandError("use \\x on, \\x off or \\x auto")
    expanded = modes[argument] if argument else not session.table.expanded
    session.set_expanded(expanded)
    words = {True: "one line per value", False: "one line per row", None: "as they fit"}
    session.say(f"Rows are shown {words[expanded]}.")


def _timing(session: Session, argument: str) -> None:
    if argument and argument not in _ON_OFF:
        raise CommandError("use \\timing on or \\timing off")
    session.is_timed = _ON_OFF[argument] if argument else not session.is_timed
    session.say(f"Timing is {'on' if session.is_timed else 'off'}.")


def _output(session: Session, argument: str) -> None:
    if not argument:
        session.close_output()
        session.say("Results are printed.")
        return
    output = session.open_output(_path(argument))
    packed = "" if output.compression == "none" else f", {output.compression}"
    session.say(f"Results go to {argument}, as {output.format}{packed}.")


def _include(session: Session, argument: str) -> None:
    """The first error ends the file, and those that read it."""
    if not argument:
        raise CommandError("give a file: \\i FILE")
    if session.depth >= MAX_DEPTH:
        raise CommandError(f"{argument}: {MAX_DEPTH} files read each other already")
    path = _path(argument)
    try:
        with path.open("rb") as stream:
            text = text_of(stream, argument)
    except OSError as error:
        raise CommandError(f"{argument}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    session.depth += 1
    line = 1
    try:
        for part in numbered_parts(text):
            line = part.line
            session.run_entry(part.text)
            if session.is_done:
                return
    except ClientError:
        if line > 1:
            note(f"the statement begins in line {line} of {argument}")
        raise
    finally:
        session.depth -= 1


def _path(text: str) -> Path:
    """A file as it is typed, also in quotes, as psql takes it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise CommandError(f"{text}: there is no such user's home") from error


def _source(session: Session, argument: str) -> None:
    if argument and _path(argument).is_file():
        raise CommandError(f"{argument} is a file: \\i {argument} runs its statements")
    if argument:
        session.client.tables(argument)  # refused when there is no such source
        session.source = argument
    session.say(f"Source: {session.source or 'the default of the server'}.")


def _format(session: Session, argument: str) -> None:
    """Of the file while there is one, else of what is printed."""
    if argument:
        if argument not in FORMATS:
            raise CommandError(f"use one of {', '.join(FORMATS)}")
        is_text = argument == FORMATS[0] or formats.FORMATS[argument].is_text
        if not is_text and session.output is None:
            raise CommandError(f"{argument} is not printed: first \\o FILE.{argument}")
        if session.output is None:
            session.format = argument
        else:
            session.output.format = argument
    session.say(f"Format: {session.content}.")


def _set(session: Session, argument: str) -> None:
    """Values are not listed: a shell's screen is seen by others."""
    if argument:
        try:
            name, value = parameter_of(argument)
        except typer.BadParameter as error:
            raise CommandError(error.message) from error
        session.parameters[name] = value
    names = ", ".join(f":{name}" for name in session.parameters)
    session.say(f"Parameters: {names or 'none'}.")


def _unset(session: Session, argument: str) -> None:
    if argument not in session.parameters:
        raise CommandError(
            f"there is no parameter {argument or '(give its name)'}: \\set lists them"
        )
    del session.parameters[argument]
    _set(session, "")


def _help(session: Session, _argument: str) -> None:
    names = [f"{one.name} {one.argument}".rstrip() for one in COMMANDS]
    width = max(map(len, names)) + 2
    columns = max(session.width, width + MIN_HELP)
    lines = [
        "Statements end with ; (or \\gx: one line per value) and may have several lines.",
        "Ctrl-C cancels a running one; Ctrl-X Ctrl-E opens the editor.",
        "",
    ]
    for name, one in zip(names, COMMANDS, strict=True):
        lines += textwrap.wrap(
            one.help, columns, initial_indent=name.ljust(width), subsequent_indent=" " * width
        )
    session.write_lines(lines)


def _quit(session: Session, _argument: str) -> None:
    session.is_done = True


COMMANDS = (
    Meta("\\d", "[NAME]", "list the tables, or describe one", _describe),
    Meta("\\x", "[on|off|auto]", "one line per value", _expanded),
    Meta("\\timing", "[on|off]", "print how long each statement took", _timing),
    Meta("\\o", "[FILE]", "write results into a file; its suffix is the format", _output),
    Meta("\\i", "FILE", "run the statements of a file", _include),
    Meta("\\source", "[NAME]", "where statements run", _source),
    Meta("\\format", "[NAME]", f"how to show results: {', '.join(FORMATS)}", _format),
    Meta("\\set", "[NAME[:TYPE]=VALUE]", "the value of :NAME in statements from now on", _set),
    Meta("\\unset", "NAME", "forget a parameter", _unset),
    Meta("\\?", "", "this list", _help),
    Meta("\\q", "", "leave (Ctrl-D does too)", _quit),
)
OTHER_NAMES = {"\\dt": "\\d", "\\d+": "\\d", "\\dt+": "\\d", "\\quit": "\\q", "\\h": "\\?"}
"""As psql's users know them."""
ENDS = ("\\g", "\\gx", "\\G")
BY_NAME = {one.name: one for one in COMMANDS}
