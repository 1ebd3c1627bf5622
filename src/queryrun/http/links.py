"""Signed links to result files: made for v2's `file.url` and v1's `dataFile` alike."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from queryrun.http.context import AppContext
from queryrun.results.sign import sign
from queryrun.results.store import ResultStore


@dataclass(frozen=True, slots=True)
class Links:
    """Makes links that all expire at the same second; new ones for every response (contract F9)."""

    public_url: str
    secret: bytes
    expires: int
    """Unix seconds."""
    results: ResultStore
    life_s: int

    def to(self, key: str) -> str:
        """The link to one file. It needs no other permission until it expires.

        It points to the store itself if that serves presigned links, otherwise to this service.
        """
        return self.results.link(key, self.life_s) or self._to_us(key)

    def _to_us(self, key: str) -> str:
        signature = sign(key, self.expires, self.secret)
        path = f"{self.public_url}/files/{quote(key)}"
        return f"{path}?expires={self.expires}&signature={signature}"


def links_of(app: AppContext) -> Links:
    """Links that are valid from now on for as long as the settings say."""
    life_s = app.settings.link_lifetime_s
    expires = int(app.now().timestamp()) + life_s
    return Links(app.public_url, app.link_secret, expires, app.results, life_s)
