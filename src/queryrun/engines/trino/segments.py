"""Results that Trino has spooled: where its pages lie, fetched and unpacked (Trino 466 and later).

A segment is inline in the response, or in an object store: then its URL comes with the headers for
the request, and with a second URL that acknowledges it, so that it may be removed.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeGuard

import lz4.block
import orjson
import requests
import zstandard

_TIMEOUTS_S = (5.0, 60.0)
_ACKNOWLEDGE_TIMEOUTS_S = (1.0, 2.0)
_MAX_SEGMENT_BYTES = 512 * 1024**2
"""Unpacked. Trino makes them of 16 MB unless told otherwise; a row may be larger."""

Page = Callable[[], list[list[Any]]]
"""Rows as JSON has them, decoded when they are read."""


def is_spooled(rows: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a page's `data` says where the rows are, instead of being them."""
    return isinstance(rows, dict)


class Segments:
    """Fetches segments by a session without secrets (`TrinoEndpoint.segments_http`)."""

    def __init__(self, http: requests.Session) -> None:
        self._http = http

    def pages(self, data: dict[str, Any]) -> Iterator[Page]:
        """One page per segment: its bytes are here when it is, and unpacked when it is called."""
        encoding = str(data["encoding"])
        for segment in data["segments"]:
            yield partial(_decoded, encoding, segment["metadata"], self._bytes(segment))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _bytes(self, segment: dict[str, Any]) -> bytes:
        """Acknowledged as soon as it is here, so that Trino can delete it from the store."""
        if segment["type"] == "inline":
            return b64decode(segment["data"])
        headers = {name: values[0] for name, values in segment.get("headers", {}).items()}
        response = self._http.get(segment["uri"], headers=headers, timeout=_TIMEOUTS_S)
        response.raise_for_status()
        content: bytes = response.content
        self._acknowledge(segment["ackUri"], headers)
        return content

    def _acknowledge(self, uri: str, headers: dict[str, str]) -> None:
        """Errors are ignored: Trino removes old segments anyway."""
        try:
            self._http.get(uri, headers=headers, timeout=_ACKNOWLEDGE_TIMEOUTS_S)
        except requests.RequestException:
            return


def _decoded(encoding: str, metadata: dict[str, Any], data: bytes) -> list[list[Any]]:
    size = metadata.get("uncompressedSize")  # missing: too small to be worth packing
    if size is not None:
        data = _unpacked(encoding, data, int(size))
    rows: list[list[Any]] = orjson.loads(data)
    return rows


def _unpacked(encoding: str, data: bytes, size: int) -> bytes:
    """The announced size bounds the memory: a segment could unpack to anything."""
    if size > _MAX_SEGMENT_BYTES:
        raise ValueError(f"a segment of {size} bytes")
    if encoding == "json+zstd":
        unpacked: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    elif encoding == "json+lz4":
        unpacked = lz4.block.decompress(data, uncompressed_size=size)
    else:
        raise ValueError(f"unknown encoding {encoding}")
    if len(unpacked) != size:
        raise ValueError("a segment is not as long as announced")
    return unpacked
