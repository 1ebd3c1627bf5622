"""The format of a stored response: its status in three digits, a blank, its body.

Only this module knows the format. The bytes are opaque to the stores.
"""

from __future__ import annotations

from queryrun.http.responses import JsonResponse


def encode_response(status: int, body: bytes) -> bytes:
    """The bytes to store. Headers are not kept."""
    return b"%03d " % status + body


def decode_response(stored: bytes) -> JsonResponse:
    """The response as it was encoded."""
    return JsonResponse(stored[4:], int(stored[:3]))
