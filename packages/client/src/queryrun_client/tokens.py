"""Tokens that are kept between processes, so that not every command asks for one.

One file of the user's configuration directory, readable by its owner alone (0600). A token is used
until shortly before it expires, for the server, client and entity that it was issued for, and is
dropped when the server refuses it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from queryrun_client.errors import NotConfigured
from queryrun_client.model import KeptToken
from queryrun_client.profiles import config_directory, read_private, write_private

FILE_NAME = "tokens.json"
MAX_KEPT = 100
"""Tokens in the file; those that expire first go first."""


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file. A file that cannot be read or written costs one request for a token, no more."""

    path: Path
    now_s: Callable[[], float] = time.time

    def find(self, key: str) -> KeptToken | None:
        """The token that is kept for this key, unless it is about to expire."""
        found = self._read().get(key)
        return found if found is not None and found.renew_at_s > self.now_s() else None

    def keep(self, key: str, token: str, lifetime_s: float) -> None:
        """Keep a token for so many seconds."""
        kept = {**self._read(), key: KeptToken(token, self.now_s() + lifetime_s)}
        self._write(kept)

    def drop(self, key: str, token: str) -> None:
        """Forget a token that was refused. One that another process has renewed stays."""
        kept = self._read()
        if key in kept and kept[key].token == token:
            del kept[key]
            self._write(kept)

    def _read(self) -> dict[str, KeptToken]:
        """What others may read, or what is no such file, counts as empty and is replaced."""
        with contextlib.suppress(OSError, NotConfigured, msgspec.DecodeError):
            return msgspec.json.decode(read_private(self.path), type=dict[str, KeptToken])
        return {}

    def _write(self, kept: dict[str, KeptToken]) -> None:
        alive = [one for one in kept.items() if one[1].renew_at_s > self.now_s()]
        alive.sort(key=lambda one: one[1].renew_at_s)
        with contextlib.suppress(OSError, NotConfigured):
            write_private(self.path, msgspec.json.encode(dict(alive[-MAX_KEPT:])))


def user_tokens() -> TokenFile:
    """The file in the user's configuration directory."""
    return TokenFile(config_directory() / FILE_NAME)


def key_of(token_url: str, client_id: str, client_secret: str, entity_id: str | None) -> str:
    """What a token is kept under. The secret counts, as a hash: a wrong one finds no token."""
    parts = (token_url, client_id, client_secret, entity_id or "")
    return sha256("\0".join(parts).encode()).hexdigest()
