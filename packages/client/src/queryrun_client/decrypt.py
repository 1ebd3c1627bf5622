"""Read result files that were encrypted to an RSA public key (docs/reference/encryption.md).

The layout: a header (magic `QRUNENC1`, bytes per frame, SHA-256 of the public key, length of the
wrapped key; big-endian), the AES-256 key wrapped with RSA-OAEP-SHA256, then AES-GCM frames. A
frame's nonce is its number in 11 bytes and a byte that is 1 for the last; header and wrapped key
are authenticated with every frame, so tampering, reordering and truncation are noticed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from queryrun_client import age
from queryrun_client.errors import DecryptFailed, MissingPackage
from queryrun_client.framing import sealed_frames

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

MAGIC = b"QRUNENC1"
TAG_BYTES = 16
MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Bounds the memory that a file's header can make one frame use."""
_HEAD = struct.Struct(">8sI32sH")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key in PEM, and its password where it has one; or an identity of age."""

    pem: bytes = field(repr=False)
    password: bytes | None = field(default=None, repr=False)


def is_encrypted(path: Path) -> bool:
    """Whether the file's first bytes identify this layout, or age's."""
    with path.open("rb") as file:
        start = file.read(len(age.MAGIC))
    return start.startswith(MAGIC) or start == age.MAGIC


def decrypt_file(source: Path, target: Path, key: PrivateKey) -> None:
    """Write the plain bytes of `source` to `target`.

    Raises `DecryptFailed` for any error; the bytes in `target` are genuine then but incomplete,
    so discard them.
    """
    with source.open("rb") as read, target.open("wb") as write:
        for frame in plain_frames(read, key):
            write.write(frame)


def plain_frames(file: BinaryIO, key: PrivateKey) -> Iterator[bytes]:
    """The plain bytes, each frame verified before it is yielded."""
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingPackage("decrypting needs the package cryptography") from error
    if age.is_identity(key.pem):
        yield from age.plain_chunks(file, key.pem)
        return

    header, wrapped, frame_bytes = _read_header(file)
    cipher = AESGCM(_unwrapped(wrapped, key))
    try:
        for nonce, sealed in sealed_frames(file, frame_bytes + TAG_BYTES):
            yield cipher.decrypt(nonce, sealed, header)
    except InvalidTag as error:
        raise DecryptFailed("the file is cut off or was changed") from error


def _read_header(file: BinaryIO) -> tuple[bytes, bytes, int]:
    """The authenticated bytes before the frames; the wrapped key; bytes per frame."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise DecryptFailed("the file is not encrypted in the published layout, or cut off")
    magic, frame_bytes, _, wrapped_bytes = _HEAD.unpack(head)
    if magic != MAGIC or not 0 < frame_bytes <= MAX_FRAME_BYTES:
        raise DecryptFailed("the file is not encrypted in the published layout")
    wrapped = file.read(wrapped_bytes)
    return head + wrapped, wrapped, frame_bytes


def _unwrapped(wrapped: bytes, key: PrivateKey) -> bytes:
    """Imports here, because `cryptography` is an optional dependency."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    mask = padding.MGF1(hashes.SHA256())
    try:
        return _loaded(key).decrypt(wrapped, padding.OAEP(mask, hashes.SHA256(), label=None))
    except ValueError as error:
        raise DecryptFailed("the file is not for this key") from error


def _loaded(key: PrivateKey) -> RSAPrivateKey:
    """Reports every unusable key as `DecryptFailed`, so that callers handle one error."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        loaded = serialization.load_pem_private_key(key.pem, key.password)
    except (ValueError, TypeError) as error:
        raise DecryptFailed("not a private key in PEM, or its password is wrong") from error
    if not isinstance(loaded, RSAPrivateKey):
        raise DecryptFailed("not an RSA key")
    return loaded
