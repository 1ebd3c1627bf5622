"""JSON files that are one object which has a whole table, as pandas and others write them.

Read as a row it would be a wrong table of one row, without a word. Whether it is a table or a row
only its owner knows, so it is refused; a row can be said to be one by an array around it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

ADVICE = (
    'write one object per row (pandas: orient="records"), or, if it is one row, put it in an array'
)
_ROWS_BY_NAME = (".jsonl", ".ndjson")
"""Endings that say that each line is a row, behind which a compression's may be."""

_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def table_in(file: str, record: Mapping[str, msgspec.Raw]) -> str:
    """How the only object of a file has a whole table, for a message; empty when it is a row."""
    if any(ending in file.lower() for ending in _ROWS_BY_NAME):
        return ""
    values = list(map(bytes, record.values()))
    if {"columns", "data"} <= record.keys() <= {"columns", "index", "data"}:
        return "of columns and data"
    if record.keys() == {"schema", "data"} and bytes(record["data"])[:1] == b"[":
        return "of a schema and data"
    if values and all(value[:1] == b"{" for value in values):
        keys = [_decode_keys(value).keys() for value in values]
        is_counted = all(key.isdecimal() for key in keys[0])
        if keys[0] and all(one == keys[0] for one in keys) and (len(keys) > 1 or is_counted):
            return "of objects with the same keys"
    if len(values) > 1 and all(value[:1] == b"[" for value in values):
        lengths = {len(_decode_items(value)) for value in values}
        if len(lengths) == 1 and max(lengths) > 1:
            return "of arrays of one length"
    return ""
