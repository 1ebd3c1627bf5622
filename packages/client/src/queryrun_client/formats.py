"""The server's result formats. `docs/generate.py` writes this module from the registry."""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """One format of result files."""

    is_text: bool
    separator: str | None
    """Between fields. None: not a delimited format, or one whose separator the caller chooses."""
    needs_separator: bool


FORMATS = {
    "json": Format(is_text=True, separator=None, needs_separator=False),
    "csv": Format(is_text=True, separator=",", needs_separator=False),
    "tsv": Format(is_text=True, separator="\t", needs_separator=False),
    "dsv": Format(is_text=True, separator=None, needs_separator=True),
    "parquet": Format(is_text=False, separator=None, needs_separator=False),
    "arrow": Format(is_text=False, separator=None, needs_separator=False),
}
COMPRESSIONS = {
    ".gz": "gzip",
    ".zip": "zip",
    ".zst": "zstd",
}
"""By the suffix of a file's name."""
