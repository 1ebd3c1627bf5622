"""Client ids, client secrets and tokens: how they are made, digested and compared. No store.

Secrets and tokens are random and long, so a plain sha256 is enough to store them: a slow
hash would only make the token endpoint easy to overload.
"""

from __future__ import annotations

import hmac
import secrets
import string
from hashlib import sha256
from uuid import uuid4

CLIENT_ID_LENGTH = 36
"""A UUID; one SDK refuses any other length (contract E)."""

SECRET_LENGTH = 42
"""The longest that the same SDK accepts (contract E). 42 of 62 characters are 250 random bits."""

TOKEN_PREFIX = "qrt_"  # noqa: S105 (a marker that secret scanners can look for, not a secret)
TOKEN_BYTES = 32
"""256 random bits, written as 64 hex digits behind the prefix."""

_ALPHABET = string.ascii_letters + string.digits


def new_client_id() -> str:
    """A fresh client id: a UUID in its 36-character form."""
    return str(uuid4())


def new_secret() -> str:
    """A fresh client secret: letters and digits, so it survives forms, shells and headers."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def new_token() -> str:
    """A fresh bearer token."""
    return TOKEN_PREFIX + secrets.token_hex(TOKEN_BYTES)


def digest(text: str) -> str:
    """What is stored of a secret or a token: its sha256 in hex."""
    return sha256(text.encode()).hexdigest()


def matches(candidate: str, digests: list[str]) -> bool:
    """Whether the candidate is one of the digested secrets; wrong ones all take the same time."""
    found = digest(candidate)
    fits = [hmac.compare_digest(found, known) for known in digests]
    return any(fits)
