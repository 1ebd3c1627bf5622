"""Sign and verify links to result files: HMAC-SHA256 over the key and the time it expires."""

from __future__ import annotations

import hmac
from hashlib import sha256


def sign(key: str, expires: int, secret: bytes) -> str:
    """The signature, in hex, of a link to `key` that expires at `expires` (unix seconds)."""
    return hmac.new(secret, f"{expires}\n{key}".encode(), sha256).hexdigest()


def verify(key: str, expires: int, signature: str, secret: bytes) -> bool:
    """Whether the signature is valid. Does not check whether the link has expired."""
    return hmac.compare_digest(sign(key, expires, secret).encode(), signature.encode())
