"""Encryption of a result file to a recipient of age (age-encryption.org/v1, X25519).

The format is the specification's at https://c2sp.org/age, so `age -d` opens the file. This
module has only what a sender needs: one recipient, binary output. The client has the reader
(docs/decisions/0018).
"""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from queryrun.results.framing import BadKeyError, Sealer, nonce

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

CHUNK_BYTES = 64 * 1024
_PREFIX = "age1"
_VERSION = b"age-encryption.org/v1\n"
_WRAP_INFO = b"age-encryption.org/v1/X25519"
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CHARACTERS = 6
_KEY_BYTES = 32


def is_recipient(text: str) -> bool:
    """Whether a key has the prefix of age."""
    return text.strip().lower().startswith(_PREFIX)


@dataclass(frozen=True, slots=True)
class AgeRecipient:
    """A usable recipient."""

    key: bytes

    @classmethod
    def parsed(cls, text: str) -> AgeRecipient:
        """The recipient in a text (`age1…`). Raises `BadKeyError` for anything else."""
        key = _from_bech32(text.strip())
        try:
            shared = _ephemeral_share(_public(key))
        except ValueError as error:
            raise BadKeyError("not a recipient of age: no point of the curve") from error
        del shared
        return cls(key)

    def sealer(self) -> Sealer:
        """A fresh key for one file."""
        return _AgeSealer(self)

    def header(self, file_key: bytes) -> bytes:
        """The file key, wrapped for the recipient, and a MAC over the header."""
        share, wrapped = self._wrapped(file_key)
        head = _VERSION + b"-> X25519 " + _base64(share) + b"\n" + _base64(wrapped) + b"\n---"
        proof = hmac.new(_derived(file_key, b"", b"header"), head, sha256).digest()
        return head + b" " + _base64(proof) + b"\n"

    def _wrapped(self, file_key: bytes) -> tuple[bytes, bytes]:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        share, shared = _ephemeral_share(_public(self.key))
        key = _derived(shared, share + self.key, _WRAP_INFO)
        return share, ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)


class _AgeSealer:
    """The payload of an age file: chunks that are each authenticated."""

    frame_bytes = CHUNK_BYTES
    tag_bytes = 16

    def __init__(self, recipient: AgeRecipient) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        file_key, salt = os.urandom(16), os.urandom(16)
        self.header = recipient.header(file_key) + salt
        self._cipher = ChaCha20Poly1305(_derived(file_key, salt, b"payload"))

    def seal(self, number: int, frame: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(nonce(number, is_last=is_last), frame, None)


def _ephemeral_share(recipient: X25519PublicKey) -> tuple[bytes, bytes]:
    """A fresh public share, and the secret that it has in common with the recipient."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    secret = X25519PrivateKey.generate()
    return secret.public_key().public_bytes_raw(), secret.exchange(recipient)


def _public(key: bytes) -> X25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    return X25519PublicKey.from_public_bytes(key)


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF with SHA-256, which derives every key of the format."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY_BYTES, salt, info).derive(secret)


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _from_bech32(text: str) -> bytes:
    """The 32 bytes of a recipient (BIP 173)."""
    lower = text.lower()
    if text not in {lower, text.upper()} or len(lower) > 100:
        raise BadKeyError("not a recipient of age")
    values = [_ALPHABET.find(character) for character in lower.removeprefix(_PREFIX)]
    if -1 in values or _checksum(values) != 1:
        raise BadKeyError("not a recipient of age: mistyped, or of another kind")
    key = _regrouped(values[:-_CHECKSUM_CHARACTERS])
    if len(key) != _KEY_BYTES:
        raise BadKeyError("not a recipient of age: of another kind")
    return key


def _checksum(values: list[int]) -> int:
    """The Bech32 checksum (BIP 173), which detects mistyped recipients."""
    prefix = _PREFIX[:-1]
    spread = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for value in [*spread, *values]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check


def _regrouped(values: list[int]) -> bytes:
    """Groups of 5 bits as bytes; what is left over must be less than a group, and zero."""
    number = 0
    for value in values:
        number = number << 5 | value
    left = len(values) * 5 % 8
    if left >= 5 or number & ((1 << left) - 1):
        raise BadKeyError("not a recipient of age: of another kind")
    return (number >> left).to_bytes(len(values) * 5 // 8, "big")
