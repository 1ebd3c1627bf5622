"""What is wrong in a text file, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_VALUE_CHARS = 40
COLUMN_FAULT = "queryrun:column:"
"""How the engine's error begins when a statement reads a column that cannot be read."""
NOT_UTF8 = "is not UTF-8"
NOT_UTF8_ADVICE = 'give its encoding in tables.toml: encoding = "latin-1"'


@dataclass(eq=False)
class FileFault(Exception):
    """A fault that stays until the file or its definition changes.

    `problem` continues a sentence that begins with the file (and its line); `advice` says what to
    do. `line` counts from 1 as an editor does; 0 when the fault is the whole file's.
    """

    file: str
    problem: str
    advice: str
    line: int = 0
    column: str = ""

    def __str__(self) -> str:
        where = (
            f"'{self.file}' line {self.line:,}".replace(",", "")
            if self.line
            else (f"'{self.file}'")
        )
        column = f", column '{self.column}'," if self.column else ""
        return f"{where}{column} {self.problem}: {self.advice}"


def cut(value: str) -> str:
    """A value as a message quotes it: printable, and cut short."""
    safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
    return safe if len(safe) <= MAX_VALUE_CHARS else safe[: MAX_VALUE_CHARS - 1] + "…"


def replace_line(fault: FileFault, line: int) -> FileFault:
    """The same fault with its line."""
    return FileFault(fault.file, fault.problem, fault.advice, line, fault.column)
