"""The wire format between a node and every child process: length-prefixed msgpack structs.

Nothing is pickled. Every frame is a 4-byte big-endian length followed by one tagged struct of at
most `MAX_FRAME_BYTES`. A peer that sends more, or anything else, is broken and is dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # the fork server and its children have no event loop
    import asyncio

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""A statement has at most 1,000,000 characters (contract F7) of 4 bytes; plus a margin."""

_LENGTH = struct.Struct(">I")
PREFIX_BYTES = _LENGTH.size


class Frame(msgspec.Struct, frozen=True, tag_field="t"):
    """Anything sent either way."""


_encoder = msgspec.msgpack.Encoder()


def encode(frame: Frame) -> bytes:
    """One frame in its wire format, with its length in front."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


def body_length(prefix: bytes) -> int:
    """The length that a prefix announces; `ValueError` beyond `MAX_FRAME_BYTES`."""
    (length,) = _LENGTH.unpack(prefix)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"frame of {length} bytes is larger than {MAX_FRAME_BYTES}")
    return int(length)


def packet_body(packet: bytes) -> bytes:
    """The body of a frame that fills one packet. `ValueError` when the length is wrong."""
    if (
        len(packet) < PREFIX_BYTES
        or body_length(packet[:PREFIX_BYTES]) != len(packet) - PREFIX_BYTES
    ):
        raise ValueError("the packet is not exactly one frame")
    return packet[PREFIX_BYTES:]


async def receive_body(reader: asyncio.StreamReader) -> bytes:
    """The next frame's body. `EOFError` at the end, `ValueError` for one that is too large."""
    return await reader.readexactly(body_length(await reader.readexactly(PREFIX_BYTES)))


class FrameSplitter:
    """Splits a stream of bytes into frame bodies. Holds at most one frame and one read's bytes."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """The bodies that are complete now. `ValueError` for a frame that is too large."""
        self._pending += data
        while len(self._pending) >= PREFIX_BYTES:
            end = PREFIX_BYTES + body_length(bytes(self._pending[:PREFIX_BYTES]))
            if len(self._pending) < end:
                return
            body = bytes(self._pending[PREFIX_BYTES:end])
            del self._pending[:end]
            yield body
