"""What was typed or piped in, as statements and commands: where one ends, and if it is whole."""

from __future__ import annotations

from collections.abc import Iterator

from queryrun_cli.shell.meta import WORDS
from queryrun_cli.statements import has_content, split_statements


def parts_of(text: str) -> Iterator[str]:
    """The statements and the commands of a text. A command is one line, where a statement could
    begin; the last statement needs no semicolon."""
    pending = ""
    for line in text.splitlines(keepends=True):
        if not pending.strip() and is_command(line):
            yield line.strip()
            pending = ""
            continue
        statements, pending = split_statements(pending + line)
        yield from statements
    statements, _ = split_statements(f"{pending}\n;")
    yield from statements


def is_command(line: str) -> bool:
    """Whether the line is no part of a statement."""
    text = line.strip()
    return text.startswith("\\") or text.rstrip(";").lower() in WORDS


def is_whole(text: str) -> bool:
    """Whether Enter runs the text: a command, or statements that all end with a semicolon."""
    if not text.strip() or is_command(text):
        return True
    statements, rest = split_statements(text)
    return bool(statements) and not has_content(rest)
