"""Read result files that were encrypted to a recipient of age (https://c2sp.org/age, X25519).

One recipient in binary form, which is what the service writes; `age -d` opens it as well.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO

from queryrun_client.errors import DecryptFailed
from queryrun_client.framing import sealed_frames

MAGIC = b"age-encryption.org/v1\n"
CHUNK_BYTES = 64 * 1024
_TAG_BYTES = 16
_KEY_BYTES = 32
_MAX_HEADER_BYTES = 64 * 1024
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_IDENTITY = re.compile(rb"AGE-SECRET-KEY-1([QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})")
_STANZA = rb"-> X25519 ([A-Za-z0-9+/]+)\n([A-Za-z0-9+/]+)\n"
_HEADER = re.compile(rb"(.*?" + _STANZA + rb".*?---) ([A-Za-z0-9+/]+)\n", re.S)


def is_identity(key: bytes) -> bool:
    """Whether a private key is one of age's."""
    return _IDENTITY.search(key) is not None


def plain_chunks(file: BinaryIO, key: bytes) -> Iterator[bytes]:
    """The plain bytes, each chunk verified before it is yielded. Raises `DecryptFailed`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    file_key = _file_key(_header(file), key)
    cipher = ChaCha20Poly1305(_derived(file_key, file.read(16), b"payload"))
    try:
        for nonce, sealed in sealed_frames(file, CHUNK_BYTES + _TAG_BYTES):
            yield cipher.decrypt(nonce, sealed, None)
    except InvalidTag as error:
        raise DecryptFailed("the file is cut off or was changed") from error


def _header(file: BinaryIO) -> re.Match[bytes]:
    """Bounded, because a file that is not in this format may have no line end at all."""
    lines = bytearray()
    while b"\n---" not in lines:
        line = file.readline(_MAX_HEADER_BYTES)
        lines += line
        if not line or len(lines) > _MAX_HEADER_BYTES:
            raise DecryptFailed("the file is not encrypted with age, or cut off")
    found = _HEADER.fullmatch(bytes(lines))
    if found is None:
        raise DecryptFailed("the file is encrypted with age, but not as the service does it")
    return found


def _file_key(header: re.Match[bytes], key: bytes) -> bytes:
    """The file's key, unwrapped, after the header's MAC was verified."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    identity = X25519PrivateKey.from_private_bytes(_identity(key))
    share, wrapped, proof = (_unbase64(header[group]) for group in (2, 3, 4))
    try:
        shared = identity.exchange(X25519PublicKey.from_public_bytes(share))
        salt = share + identity.public_key().public_bytes_raw()
        wrapping = ChaCha20Poly1305(_derived(shared, salt, b"age-encryption.org/v1/X25519"))
        file_key = wrapping.decrypt(bytes(12), wrapped, None)
    except (InvalidTag, ValueError) as error:
        raise DecryptFailed("the file is not for this key") from error
    expected = hmac.new(_derived(file_key, b"", b"header"), header[1], sha256).digest()
    if not hmac.compare_digest(expected, proof):
        raise DecryptFailed("the file is cut off or was changed")
    return file_key


def _identity(key: bytes) -> bytes:
    """The 32 bytes in `AGE-SECRET-KEY-1…`; its checksum is not verified: a wrong key opens
    nothing."""
    found = _IDENTITY.search(key)
    if found is None:
        raise DecryptFailed("not an identity of age (AGE-SECRET-KEY-1…)")
    number = 0
    for character in found[1].decode().lower()[:52]:
        number = number << 5 | _ALPHABET.index(character)
    return (number >> 4).to_bytes(32, "big")


def _unbase64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise DecryptFailed("the file's header is damaged") from error


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF with SHA-256, which derives every key of the format."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY_BYTES, salt, info).derive(secret)
