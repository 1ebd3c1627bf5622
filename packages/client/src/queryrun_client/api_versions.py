"""Choose a version of the API by its name."""

from __future__ import annotations

from queryrun_client.errors import Unsupported
from queryrun_client.v1 import ApiV1
from queryrun_client.v2 import ApiV2
from queryrun_client.wire import ApiVersion


def find_api_version(name: str, url: str) -> ApiVersion:
    """Version `v2` or `v1` of the API at `url`, with or without a trailing /v2.

    Raises `Unsupported` for another name and for a URL that is not HTTP.
    """
    if not url.startswith(("http://", "https://")):
        raise Unsupported("the server's URL must begin with http:// or https://")
    base = url.rstrip("/").removesuffix("/v2")
    if name == "v2":
        return ApiV2(base)
    if name == "v1":
        return ApiV1(base)
    raise Unsupported(f"there is no API version {name!r}: use v2 or v1")
