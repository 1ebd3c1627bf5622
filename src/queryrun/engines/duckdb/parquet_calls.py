"""The Parquet files that the SQL of our own views names, and marks by which a plan tells them.

DuckDB's plan does not say which files a scan reads. So the statement is planned once more on views
whose scans have a filter that is always true, and that names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from queryrun.tables.folder import NULL_PARTITION
from queryrun.tables.sql import text_list

_LITERAL = r"'(?:[^']|'')*'"
_CALL = re.compile(rf"read_parquet\((\[{_LITERAL}(?:, {_LITERAL})*\]|{_LITERAL})")
_TOKEN = re.compile(rf'{_LITERAL}|"(?:[^"]|"")*"|[()]')
_LINK = re.compile(r"/(queryrun_p\d+)=([^/]*)")
_NAMED = re.compile(r'CAST\(queryrun_p\d+ AS [A-Z0-9_ ]+(?:\([0-9, ]+\))?\) AS "(?:[^"]|"")*"')
MARK = re.compile(r"^(?:optional: )?\(filename != 'queryrun:(\d+)'\)$")


@dataclass(frozen=True)
class ParquetCall:
    """One `read_parquet(…)` of a view: its text, and the files that it names."""

    text: str
    start: int
    paths: tuple[str, ...]
    named: tuple[str, ...] = ()
    """How the view names its partitions' columns: `CAST(queryrun_p0 AS BIGINT) AS "year"`."""

    @cached_property
    def partitions(self) -> list[dict[str, str | None]]:
        """What the links of each path say of its partition; empty for a table without any."""
        return [
            {
                name: None if value == NULL_PARTITION else unquote(value)
                for name, value in _LINK.findall(path)
            }
            for path in self.paths
        ]


def parquet_calls(source: str) -> list[ParquetCall]:
    """Every call in SQL that this program has written."""
    found = []
    named = tuple(dict.fromkeys(match[0] for match in _NAMED.finditer(source)))
    for match in _CALL.finditer(source):
        end = _end_of_call(source, match.start() + len("read_parquet"))
        paths = tuple(
            literal[1:-1].replace("''", "'") for literal in re.findall(_LITERAL, match.group(1))
        )
        found.append(ParquetCall(source[match.start() : end], match.start(), paths, named))
    return found


def marked(source: str, calls: Sequence[ParquetCall], first: int) -> str:
    """The same SQL with each call marked, by numbers from `first`."""
    for number, call in reversed(list(enumerate(calls, first))):
        end = call.start + len(call.text)
        wrapped = f"(SELECT * FROM {call.text} WHERE filename <> 'queryrun:{number}')"
        source = source[: call.start] + wrapped + source[end:]
    return source


def of_first_files(source: str, calls: Sequence[ParquetCall]) -> str:
    """The same SQL with each call reading its first file alone. All files of a call have the same
    columns (`tables.parquet` makes a call for each schema)."""
    for call in reversed(calls):
        listed = _CALL.match(call.text)
        rest = call.text[listed.end() :] if listed else ""
        one = f"read_parquet({text_list(call.paths[:1])}{rest}"
        source = source[: call.start] + one + source[call.start + len(call.text) :]
    return source


def _end_of_call(source: str, opening: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(source, opening):
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if depth == 0:
            return token.end()
    return len(source)
