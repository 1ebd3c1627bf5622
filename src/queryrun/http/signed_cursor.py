"""Cursors of lists: opaque, tied to their list, refused when they are anything else."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256

_MAC_BYTES = 12
MAX_CURSOR_CHARS = 4000


class BadCursorError(ValueError):
    """Not a cursor of ours, or of a list with other conditions or another order."""


def write_signed(position: bytes, listed: str, secret: bytes) -> str:
    """The cursor that continues the list `listed` behind `position`."""
    raw = position + _mac(position, listed, secret)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_signed(text: str, listed: str, secret: bytes) -> bytes:
    """The position in a cursor that `write_signed` made for the same list."""
    try:
        raw = base64.b64decode(
            text[:MAX_CURSOR_CHARS] + "=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError) as error:
        raise BadCursorError("not a cursor") from error
    position, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(position, listed, secret)):
        raise BadCursorError("not a cursor of this list")
    return position


def _mac(position: bytes, listed: str, secret: bytes) -> bytes:
    """Binds the position to the list. The lengths keep the two apart."""
    text = b"cursor\n%d\n" % len(position) + position + listed.encode()
    return hmac.new(secret, text, sha256).digest()[:_MAC_BYTES]
