"""starlette's responses, with msgspec as the JSON encoder."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

JSON = "application/json"

_encode = msgspec.json.Encoder().encode


class JsonResponse(Response):
    """A JSON body: plain data, or bytes that are JSON already."""

    media_type = JSON

    def render(self, content: object) -> bytes:
        """The body's bytes."""
        return content if isinstance(content, bytes) else _encode(content)
