"""CSV as the service writes it. Nothing that a file says is lost: `""` is a text, nothing is NULL.

JSON could not do: it has no NaN and no Infinity, and drops the zeros at the end of a decimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from queryrun_client import UnexpectedResponse

_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(?:,|(\Z))')


def records_of(lines: Iterable[str]) -> Iterator[list[str | None]]:
    """The records of a file's lines, its header among them; None is NULL.

    `lines` end where the file has a line feed, and nowhere else. `UnexpectedResponse` for a record
    that is no CSV.
    """
    parts: list[str] = []
    quotes = 0
    for line in lines:
        parts.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0:
            yield _fields("".join(parts).removesuffix("\n").removesuffix("\r"))
            parts, quotes = [], 0
    if parts:
        raise UnexpectedResponse("the result's last record has no end")


def _fields(record: str) -> list[str | None]:
    fields: list[str | None] = []
    at = 0
    while True:
        found = _FIELD.match(record, at)
        if found is None:
            raise UnexpectedResponse(f"a record of the result is no CSV: {record[:80]!r}")
        quoted, plain, end = found.groups()
        fields.append(plain or None if quoted is None else quoted.replace('""', '"'))
        if end is not None:
            return fields
        at = found.end()
