"""Encrypted frames of one size, which both layouts of encrypted files use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO


def sealed_frames(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    """The nonce and the bytes of each frame; the last may be short, and an empty file is one.

    A nonce is the number of the frame and whether it is the last one, so that frames cannot be
    reordered, repeated or left out.
    """
    number, frame = 0, file.read(size_bytes)
    while True:
        following = file.read(size_bytes)
        yield number.to_bytes(11, "big") + bytes([not following]), frame
        if not following:
            return
        number, frame = number + 1, following
