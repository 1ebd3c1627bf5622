"""What was typed or piped in, as statements and commands: where one ends, and if it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from queryrun_cli.errors import CommandError
from queryrun_cli.statements import Part, has_content, is_open, numbered, split_statements

WORDS = {"exit": "\\q", "quit": "\\q", "help": "\\?"}
"""What people type in other shells, alone on a line."""


EXPANDED = "\\gx "
"""Begins the statement that `\\gx` or `\\G` ended: it is shown one line per value."""
_END = re.compile(r";?\s*\\(gx?|G)\s*\Z")
"""What ends a statement besides a semicolon, as in psql and in MySQL's shell."""


def parts_of(text: str) -> Iterator[str]:
    """The texts of `numbered_parts`."""
    return (part.text for part in numbered_parts(text))


def numbered_parts(text: str) -> Iterator[Part]:
    """The statements and the commands of a text. A command is one line, where a statement could
    begin; the last statement needs no semicolon. `CommandError` for a command amid a statement."""
    pending, first = "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not has_content(pending) and not is_open(pending) and is_command(line):
            yield Part(line.strip(), number)
            pending, first = "", number + 1
            continue
        if (end := _end_of(pending, line)) is not None:
            before, prefix = end
            chunk = f"{pending}{before};"
            *others, last = numbered(split_statements(chunk)[0], chunk, first)
            yield from others
            yield Part(prefix + last.text, last.line)
            pending, first = "", number + 1
            continue
        if _interrupts(pending, line):
            if line.strip().startswith("\\q"):
                yield Part("\\q", number)
            raise CommandError(
                f"the statement before {line.split()[0]} has no ; yet, so it was not run"
            )
        chunk = pending + line
        statements, pending = split_statements(chunk)
        yield from numbered(statements, chunk, first)
        first += chunk.count("\n") - pending.count("\n")
    statements, _ = split_statements(f"{pending}\n;")
    yield from numbered(statements, pending, first)


def _end_of(pending: str, line: str) -> tuple[str, str] | None:
    """The line without the `\\g`, `\\gx` or `\\G` that ends its statement, and what then begins
    the statement."""
    found = _END.search(line)
    if found is None:
        return None
    before = line[: found.start()]
    if not has_content(pending + before) or is_open(pending + before):
        return None
    return before, "" if found[1] == "g" else EXPANDED


def is_command(line: str) -> bool:
    """Whether the line is no part of a statement. None begins with a dot, as the commands of other
    shells do."""
    text = line.strip()
    return text.startswith(("\\", ".")) or text.rstrip("; ").lower() in WORDS


def is_whole(text: str) -> bool:
    """Whether Enter runs the text: a command, or statements that all end with a semicolon."""
    if not text.strip() or is_command(text):
        return True
    before, _, last = text.rpartition("\n")
    _, pending = split_statements(f"{before}\n")
    if _interrupts(pending, last) or _end_of(pending, last) is not None:
        return True
    statements, rest = split_statements(text)
    if not statements:  # semicolons alone; a comment is the beginning of a statement
        return not rest.strip()
    return not has_content(rest) and not is_open(rest)


def _interrupts(pending: str, line: str) -> bool:
    """Whether the line is a command, after the beginning of a statement: outside of a text, a
    quoted name and a comment no statement has a backslash."""
    return has_content(pending) and line.lstrip().startswith("\\") and not is_open(pending)
