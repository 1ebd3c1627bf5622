"""What was typed or piped in, as statements and commands: where one ends, and if it is whole."""

from __future__ import annotations

from collections.abc import Iterator

from queryrun_cli.errors import CommandError
from queryrun_cli.statements import has_content, is_open, split_statements

WORDS = {"exit": "\\q", "quit": "\\q", "help": "\\?"}
"""What people type in other shells, alone on a line."""


def parts_of(text: str) -> Iterator[str]:
    """The statements and the commands of a text. A command is one line, where a statement could
    begin; the last statement needs no semicolon. `CommandError` for a command amid a statement."""
    pending = ""
    for line in text.splitlines(keepends=True):
        if not has_content(pending) and not is_open(pending) and is_command(line):
            yield line.strip()
            pending = ""
            continue
        if _interrupts(pending, line):
            if line.strip().startswith("\\q"):
                yield "\\q"
            raise CommandError(
                f"the statement before {line.split()[0]} has no ; yet, so it was not run"
            )
        statements, pending = split_statements(pending + line)
        yield from statements
    statements, _ = split_statements(f"{pending}\n;")
    yield from statements


def is_command(line: str) -> bool:
    """Whether the line is no part of a statement."""
    text = line.strip()
    return text.startswith("\\") or text.rstrip("; ").lower() in WORDS


def is_whole(text: str) -> bool:
    """Whether Enter runs the text: a command, or statements that all end with a semicolon."""
    if not text.strip() or is_command(text):
        return True
    before, _, last = text.rpartition("\n")
    _, pending = split_statements(f"{before}\n")
    if _interrupts(pending, last):
        return True
    statements, rest = split_statements(text)
    if not statements:  # semicolons alone; a comment is the beginning of a statement
        return not rest.strip()
    return not has_content(rest) and not is_open(rest)


def _interrupts(pending: str, line: str) -> bool:
    """Whether the line is a command, after the beginning of a statement: outside of a text, a
    quoted name and a comment no statement has a backslash."""
    return has_content(pending) and line.lstrip().startswith("\\") and not is_open(pending)
