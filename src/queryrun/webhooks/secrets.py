"""Secrets of webhooks: made, encrypted for the database, and used to sign (Standard Webhooks)."""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX = "whsec_"
SECRET_BYTES = 32
_NONCE_BYTES = 12


class UnreadableSecretError(Exception):
    """It was encrypted with another key than this node has."""


def new_secret() -> str:
    """A fresh signing secret, in the form that libraries of Standard Webhooks take."""
    return PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def signature(secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature per secret, so that a receiver may have
    either while a secret is rotated."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    made = (hmac.digest(_key(secret), signed, sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))


class Sealer:
    """Encrypts what the database keeps, with a key that is derived from the nodes' link key."""

    def __init__(self, link_key: bytes) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"queryrun webhook secrets").derive(link_key)
        self._cipher = AESGCM(key)

    def seal(self, text: str, webhook_id: str) -> str:
        """Encrypt for one webhook: moved to another one, it cannot be read."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), webhook_id.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str, webhook_id: str) -> str:
        """What was sealed; `UnreadableSecretError` when this node's key is another one."""
        try:
            raw = base64.b64decode(sealed)
            opened = self._cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], webhook_id.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise UnreadableSecretError(
                "the secret cannot be read, because the key for links has changed: rotate it"
            ) from error
        return opened.decode()
