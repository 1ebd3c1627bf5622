"""Whether an object of a JSON body has a name twice.

Decoders keep the last value and say nothing, others the first: what was judged in front of us, by
a gateway or a log, would not be what runs.
"""

from __future__ import annotations

import re

import msgspec

from queryrun.errors import InvalidRequest

MAX_PARTS = 200_000
"""Texts and brackets that are looked at. A body that is valid has fewer, whatever its size."""

_PART = re.compile(rb'("(?:[^"\\]++|\\.)*+")([ \t\r\n]*+:)?+|[{}\[\]]', re.DOTALL)
_MAX_NAME_CHARS = 64


def check_names(raw: bytes) -> None:
    """Raise `InvalidRequest` that says which name an object has twice. `raw` is valid JSON."""
    if raw.count(b":") < 2:
        return
    open_objects: list[set[bytes]] = []
    for number, part in enumerate(_PART.finditer(raw)):
        if number == MAX_PARTS:
            raise InvalidRequest.of("body", "the body has more values than any valid one")
        text, is_name = part.groups()
        if is_name:
            _add(open_objects[-1], text)
        elif text is None:
            if part[0] in b"{[":
                open_objects.append(set())
            else:
                open_objects.pop()


def _add(names: set[bytes], text: bytes) -> None:
    if b"\\" in text:
        text = msgspec.json.encode(msgspec.json.decode(text))
    if text in names:
        name = str(msgspec.json.decode(text))[:_MAX_NAME_CHARS]
        raise InvalidRequest.of(name, f"'{name}' is given more than once")
    names.add(text)
