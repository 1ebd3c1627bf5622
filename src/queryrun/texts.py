"""Which texts can be written, whoever they come from. Depends on nothing."""

from __future__ import annotations


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can write it: halves of a surrogate pair stand for bytes that are no text (in
    names of files and variables), or come from an escape in JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Whether databases and logs can keep it: UTF-8 without a NUL."""
    return "\0" not in text and is_utf8(text)
