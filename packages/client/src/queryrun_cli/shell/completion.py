"""What a word at the cursor of a shell may become: a text and a position in, words out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from queryrun_cli.shell.meta import COMMANDS
from queryrun_cli.shell.session import FORMATS, Session
from queryrun_cli.shell.words import FUNCTIONS, KEYWORDS
from queryrun_client import ClientError, Table

FRESH_S = 60.0
"""Seconds for which the list of tables is used."""
MAX_COMPLETIONS = 500
_WORD = re.compile(r'(?:"[^"]*"?|[\w$@]+)?\Z')
_QUALIFIER = re.compile(r'("(?:[^"]|"")+"|[\w$]+)\.\Z')
_AFTER_TABLE = re.compile(
    r'\b(?:from|join|describe|desc|table)\s+(?:[\w$".]+\s*,\s*)*\Z', re.IGNORECASE
)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_ALIASED = re.compile(
    r'\b(?:from|join)\s+("(?:[^"]|"")+"|[\w$]+)(?:\s+(?:as\s+)?("(?:[^"]|"")+"|[\w$]+))?',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A word that replaces the `replaced` characters before the cursor."""

    text: str
    replaced: int
    kind: str


class Words:
    """The names of the session's source, which are asked of the server once a minute at most."""

    def __init__(self, session: Session, now_s: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._now_s = now_s
        self._read_at: tuple[str | None, float] | None = None
        self._tables: list[Table] = []

    def sources(self) -> list[str]:
        """The sources that statements can run on."""
        return self._session.sources()

    def tables(self) -> list[Table]:
        """The tables of the source that is chosen now."""
        now_s, source = self._now_s(), self._session.source
        is_known = self._read_at is not None and self._read_at[0] == source
        if not is_known or (self._read_at is not None and now_s > self._read_at[1]):
            try:
                self._tables = self._session.tables()
            except ClientError:  # old names help more than none
                if not is_known:
                    raise
            self._read_at = (source, now_s + FRESH_S)
        return self._tables


def completions(text: str, at: int, words: Words) -> list[Suggestion]:
    """What may stand at position `at`, the most likely first."""
    before = text[:at]
    word = _word_before(before)
    found = (
        Suggestion(candidate, len(word), kind)
        for candidate, kind in _candidates(before, word, text, words)
        if candidate.lower().lstrip('"').startswith(word.lower().lstrip('"'))
    )
    return list(_unique(found))[:MAX_COMPLETIONS]


def _word_before(before: str) -> str:
    """A command begins with its backslash, a name perhaps with a quote."""
    if re.fullmatch(r"\s*\\\S*", before):
        return before.strip()
    found = _WORD.search(before)
    return found[0] if found else ""


def _candidates(before: str, word: str, text: str, words: Words) -> Iterator[tuple[str, str]]:
    if before.lstrip().startswith("\\"):
        yield from _of_command(before, words)
        return
    ahead = before[: len(before) - len(word)]
    if qualifier := _QUALIFIER.search(ahead):
        yield from _columns(_named(qualifier[1], text, words.tables()))
        return
    if _AFTER_TABLE.search(ahead):
        yield from _table_names(words.tables())
        return
    tables = words.tables()
    mentioned = [one for one in tables if _mentions(text, one.name)]
    yield from _columns(mentioned)
    case = str.lower if word and word.islower() else str.upper
    yield from ((case(keyword), "keyword") for keyword in KEYWORDS)
    yield from ((f"{name}(", "function") for name in FUNCTIONS)
    yield from _table_names(tables)
    if not mentioned:
        yield from _columns(tables)


def _of_command(before: str, words: Words) -> Iterator[tuple[str, str]]:
    name, blank, _ = before.lstrip().partition(" ")
    if not blank:
        yield from ((one.name, one.help) for one in COMMANDS)
    elif name == "\\d":
        yield from _table_names(words.tables())
    elif name == "\\source":
        yield from ((one, "source") for one in words.sources())
    elif name == "\\format":
        yield from ((one, "format") for one in FORMATS)
    else:
        choices = next((one.argument for one in COMMANDS if one.name == name), "")
        yield from ((one, "") for one in choices.strip("[]").split("|") if one.islower())


def _named(qualifier: str, text: str, tables: Iterable[Table]) -> list[Table]:
    """The tables that a name before a dot means: the table of this name, or with this alias."""
    names = {_plain(qualifier)}
    for table, alias in _ALIASED.findall(text):
        if alias and _plain(alias) in names:
            names.add(_plain(table))
    return [one for one in tables if one.name.lower() in names]


def _plain(name: str) -> str:
    return name.strip('"').replace('""', '"').lower()


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text, re.IGNORECASE) is not None


def _table_names(tables: Iterable[Table]) -> Iterator[tuple[str, str]]:
    yield from ((quoted(one.name), "table") for one in tables)


def _columns(tables: Iterable[Table]) -> Iterator[tuple[str, str]]:
    for table in tables:
        yield from ((quoted(one.name), one.type) for one in table.columns or ())


def quoted(name: str) -> str:
    """A name as a statement has it: in quotes unless it is a plain word."""
    if _PLAIN_NAME.fullmatch(name) and name not in KEYWORDS:
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _unique(found: Iterable[Suggestion]) -> Iterator[Suggestion]:
    seen: set[str] = set()
    for one in found:
        if one.text not in seen:
            seen.add(one.text)
            yield one
