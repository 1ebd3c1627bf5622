"""How a response is kept in the database: its status in three digits, a blank, its body.

Only this module knows the form. The stores keep the bytes without looking into them.
"""

from __future__ import annotations

from queryrun.http.request import Response


def encode_response(status: int, body: bytes) -> bytes:
    """The bytes to store for a response without a stream; headers are not kept."""
    return b"%03d " % status + body


def decode_response(stored: bytes) -> Response:
    """The response as it was encoded."""
    return Response(int(stored[:3]), stored[4:])
