"""The keys of an issuer: fetched when needed, and again when a token names an unknown one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from queryrun.auth.oidc_tokens import Header, SigningKey, fitting_keys, keys_of
from queryrun.errors import Unauthenticated, Unavailable

REFETCH_S = 30.0
"""Between two fetches at least, whatever tokens name: a stranger must not make us flood the issuer.
So a new key of the issuer is taken after this time at most."""
MAX_AGE_S = 3600.0
"""Of keys that are used without asking again: so long a key that was withdrawn still counts."""
MAX_STALE_S = 24 * 3600.0
"""Of keys that are used while the issuer does not respond."""

_log = structlog.get_logger(__name__)

FetchKeys = Callable[[], Awaitable[object]]
"""The issuer's JWKS document. Raises `Unavailable`."""


class IssuerKeys:
    """Keys in memory, of one node. From one event loop."""

    def __init__(self, fetch: FetchKeys, now_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now_s = now_s
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._fetched_s: float | None = None
        self._tried_s: float | None = None
        self._problem: Unavailable | None = None
        self._lock = asyncio.Lock()

    async def find(self, header: Header) -> list[SigningKey]:
        """The keys that may be a token's. `Unauthenticated` when the issuer has none, `Unavailable`
        while it has not said which it has."""
        if self._is_older_than(MAX_AGE_S):
            await self._refresh()
        found = fitting_keys(header, self._keys)
        if not found:
            await self._refresh()
            found = fitting_keys(header, self._keys)
        if self._is_older_than(MAX_STALE_S):
            raise self._problem or Unavailable("the issuer's keys are not known")
        if not found:
            raise Unauthenticated("the token is signed with a key that the issuer does not have")
        return found

    async def find_again(self, header: Header) -> list[SigningKey]:
        """The same after asking the issuer: it may have given a new key the name of the old one."""
        await self._refresh()
        return fitting_keys(header, self._keys)

    def _is_older_than(self, age_s: float) -> bool:
        return self._fetched_s is None or self._now_s() - self._fetched_s > age_s

    async def _refresh(self) -> None:
        """At most once in `REFETCH_S`; who comes meanwhile waits for the one fetch."""
        async with self._lock:
            if self._tried_s is not None and self._now_s() - self._tried_s < REFETCH_S:
                return
            self._tried_s = self._now_s()
            try:
                self._keys = keys_of(await self._fetch())
            except Unavailable as error:
                self._problem = error
                _log.warning("oidc_keys_unavailable", reason=str(error))
            else:
                self._fetched_s, self._problem = self._now_s(), None
                _log.info("oidc_keys_fetched", keys=len(self._keys))
