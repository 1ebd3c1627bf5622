"""Choose a face of the API by its name."""

from __future__ import annotations

from queryrun_client.errors import Unsupported
from queryrun_client.v1 import V1Face
from queryrun_client.v2 import V2Face
from queryrun_client.wire import Face


def face_of(name: str, url: str) -> Face:
    """The face called `v2` or `v1` of the server at `url` (with or without a trailing /v2)."""
    if not url.startswith(("http://", "https://")):
        raise Unsupported("the server's address must begin with http:// or https://")
    base = url.rstrip("/").removesuffix("/v2")
    if name == "v2":
        return V2Face(base)
    if name == "v1":
        return V1Face(base)
    raise Unsupported(f"there is no face {name!r}: use v2 or v1")
