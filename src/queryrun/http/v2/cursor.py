"""The list's cursor: opaque, tied to the list it came from, refused when it is anything else."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import replace
from hashlib import sha256

from queryrun.runs.store import Position, RunQuery

_MAC_BYTES = 12
_NUMBER_BYTES = 8
_POSITION_BYTES = 2 * _NUMBER_BYTES
_LENGTH = _MAC_BYTES + _POSITION_BYTES


class BadCursorError(ValueError):
    """Not a cursor of ours, or of a list with other filters or another order."""


def write_cursor(query: RunQuery, after: Position, secret: bytes) -> str:
    """The cursor that continues `query` behind the position `after`."""
    position = b"".join(part.to_bytes(_NUMBER_BYTES, "big", signed=True) for part in after)
    return base64.urlsafe_b64encode(position + _mac(query, position, secret)).decode().rstrip("=")


def read_cursor(query: RunQuery, text: str, secret: bytes) -> Position:
    """The position in a cursor that `write_cursor` made for the same query."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCursorError("not a cursor") from error
    position, mac = raw[:_POSITION_BYTES], raw[_POSITION_BYTES:]
    if len(raw) != _LENGTH or not hmac.compare_digest(mac, _mac(query, position, secret)):
        raise BadCursorError("not a cursor of this list")
    created, number = position[:_NUMBER_BYTES], position[_NUMBER_BYTES:]
    return int.from_bytes(created, "big", signed=True), int.from_bytes(number, "big", signed=True)


def _mac(query: RunQuery, position: bytes, secret: bytes) -> bytes:
    """Binds the position to the conditions and the order of the list, not to its page size."""
    same = replace(query, after=None, limit=0, states=frozenset(), sources=frozenset())
    listed = repr((same, sorted(query.states), sorted(query.sources))).encode()
    return hmac.new(secret, b"cursor\n" + position + listed, sha256).digest()[:_MAC_BYTES]
