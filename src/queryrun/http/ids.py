"""Ids of requests and runs."""

from __future__ import annotations

import os
from uuid import UUID

_AT_ONCE = 256
_ID_BYTES = 16
_random: list[bytes] = []


def new_id() -> str:
    """A random UUID (RFC 9562, version 4). For the event loop alone.

    The kernel is asked for many at once: each time the interpreter goes to another thread, and
    comes back late while the writer of the database is busy.
    """
    if not _random:
        raw = os.urandom(_AT_ONCE * _ID_BYTES)
        _random.extend(raw[at : at + _ID_BYTES] for at in range(0, len(raw), _ID_BYTES))
    return str(UUID(bytes=_random.pop(), version=4))


os.register_at_fork(after_in_child=_random.clear)
