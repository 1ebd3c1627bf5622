"""Encryption of a result file to the caller's RSA public key (contract F6, H21).

A random AES-256 key, wrapped with RSA-OAEP-SHA256, and the file in authenticated frames of 1 MiB,
so that a reader notices truncation, reordering and tampering before it releases a byte. The layout
is published in docs/reference/encryption.md; the client has the reader (docs/decisions/0013).
"""

from __future__ import annotations

import base64
import binascii
import math
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryrun.results.compress import Chunks
from queryrun.results.framing import BadKeyError, SealedHeadLast, Sealer, nonce, sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import OAEP
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from queryrun.results.age import AgeRecipient
    from queryrun.results.zip import HeadLast

MAGIC = b"QRUNENC1"
FRAME_BYTES = 1024 * 1024
MIN_KEY_BITS = 1024
"""The minimum of the contract. Too short for new keys."""
GOOD_KEY_BITS = 2048
MIN_EXPONENT = 65_537
"""As FIPS 186-5 has it; every tool makes keys with this one."""
_SMALL_FACTORS = math.factorial(1000)
_MAX_KEY_BITS = 16_384
_MAX_KEY_TEXT = 16_384
_KEY_BYTES = 32
_HEAD = struct.Struct(">8sI32sH")
"""Magic, bytes per frame, SHA-256 of the public key's SPKI, length of the wrapped key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A usable RSA public key."""

    bits: int
    fingerprint: bytes
    """SHA-256 of the key's SubjectPublicKeyInfo, in DER."""
    rsa: RSAPublicKey = field(repr=False)

    @property
    def is_weak(self) -> bool:
        """Whether to warn: the contract's 1024 bits are accepted, but too few."""
        return self.bits < GOOD_KEY_BITS

    def sealer(self) -> Sealer:
        """A fresh key for one file."""
        return _RsaSealer(self)


def parse_key(text: str) -> PublicKey | AgeRecipient:
    """The key in a text: an RSA key, or a recipient of age (`age1…`). Raises `BadKeyError`."""
    from queryrun.results.age import AgeRecipient, is_recipient

    return AgeRecipient.parsed(text) if is_recipient(text) else parse_public_key(text)


def parse_public_key(text: str) -> PublicKey:
    """The RSA key in a text: SubjectPublicKeyInfo in base64, as the contract has it, or PEM.

    Raises `BadKeyError` for anything else, for other kinds of keys, for less than 1024 bits, and
    for numbers that are no RSA key, or one that anyone could break.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = serialization.load_der_public_key(_der_of(text))
    except (ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, BadKeyError):
            raise
        raise BadKeyError("not a public key in SubjectPublicKeyInfo form") from error
    if not isinstance(key, RSAPublicKey):
        raise BadKeyError("not an RSA key")
    if not MIN_KEY_BITS <= key.key_size <= _MAX_KEY_BITS:
        raise BadKeyError(f"an RSA key must have {MIN_KEY_BITS} to {_MAX_KEY_BITS} bits")
    _check_numbers(key)
    return PublicKey(key.key_size, _fingerprint(key), key)


def _check_numbers(key: RSAPublicKey) -> None:
    """What a parser lets pass. At last a trial, for whatever else the library refuses."""
    numbers = key.public_numbers()
    modulus, exponent = numbers.n, numbers.e
    if exponent % 2 == 0 or exponent < MIN_EXPONENT:
        raise BadKeyError(f"the exponent of an RSA key must be odd and at least {MIN_EXPONENT}")
    is_square = math.isqrt(modulus) ** 2 == modulus
    if is_square or math.gcd(modulus, _SMALL_FACTORS) != 1:
        raise BadKeyError("the modulus is not the product of two large primes")
    try:
        key.encrypt(bytes(_KEY_BYTES), _padding())
    except ValueError as error:
        raise BadKeyError("nothing can be encrypted to this RSA key") from error


def encrypted(chunks: Chunks, key: PublicKey | AgeRecipient | None) -> Chunks:
    """The chunks encrypted to `key`; without one they are returned unchanged."""
    return chunks if key is None else sealed(chunks, key.sealer())


def encrypted_head_last(file: HeadLast, key: PublicKey | AgeRecipient | None) -> HeadLast:
    """The same for a file whose first bytes come last."""
    return file if key is None else SealedHeadLast(file, key.sealer())


class _RsaSealer:
    """The nonce holds the frame number and a last-frame mark: truncation is detected."""

    frame_bytes = FRAME_BYTES
    tag_bytes = 16

    def __init__(self, key: PublicKey) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        secret = os.urandom(_KEY_BYTES)
        wrapped = key.rsa.encrypt(secret, _padding())
        self.header = _HEAD.pack(MAGIC, FRAME_BYTES, key.fingerprint, len(wrapped)) + wrapped
        self._cipher = AESGCM(secret)

    def seal(self, number: int, frame: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(nonce(number, is_last=is_last), frame, self.header)


def _der_of(text: str) -> bytes:
    """Accepts PEM and bare base64, because the contract allows both."""
    if len(text) > _MAX_KEY_TEXT:
        raise BadKeyError("too long for a public key")
    stripped = text.strip()
    if stripped.startswith("-----BEGIN"):
        lines = stripped.splitlines()
        if lines[0].strip() != "-----BEGIN PUBLIC KEY-----":
            raise BadKeyError("PEM must be a PUBLIC KEY (SubjectPublicKeyInfo)")
        stripped = "".join(line for line in lines if not line.startswith("-----"))
    try:
        return base64.b64decode("".join(stripped.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKeyError("not base64") from error


def _fingerprint(key: RSAPublicKey) -> bytes:
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _padding() -> OAEP:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label=None)
