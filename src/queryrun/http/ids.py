"""Ids of requests and runs."""

from __future__ import annotations

import os

_AT_ONCE = 256
_DIGITS = 32
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_ids: list[str] = []


def new_id() -> str:
    """A random UUID (RFC 9562, version 4). For the event loop alone.

    The kernel is asked for many at once: each time the interpreter goes to another thread, and
    comes back late while the writer of the database is busy.
    """
    if not _ids:
        digits = os.urandom(_AT_ONCE * _DIGITS // 2).hex()
        _ids.extend(_uuid(digits[at : at + _DIGITS]) for at in range(0, len(digits), _DIGITS))
    return _ids.pop()


def _uuid(digits: str) -> str:
    """Of 32 random hexadecimal digits, five of whose bits become the version and the variant."""
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"
    )


os.register_at_fork(after_in_child=_ids.clear)
