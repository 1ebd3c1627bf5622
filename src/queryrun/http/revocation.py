"""`POST /oauth/revoke` (RFC 7009), and the end of streams whose token is no longer valid."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from queryrun.auth.model import Scope
from queryrun.errors import Unavailable

T = TypeVar("T")

CHECK_INTERVAL_S = 0.5
"""How often the tokens of open streams are checked: with the second for which a node of a cluster
caches tokens, a stream ends within 1.5 s of a revocation."""


class StreamToken(NamedTuple):
    """A token, and what its client could see when the stream was opened."""

    digest: str
    scopes: frozenset[Scope]
    org_ids: tuple[str, ...]


class StreamTokens:
    """The tokens with which streams are open on this node, checked again and again meanwhile.

    One task for all of them, and none while no stream is open. Used from one event loop.
    """

    def __init__(
        self,
        is_valid: Callable[[StreamToken], Awaitable[bool]],
        interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        self._is_valid = is_valid
        self._interval_s = interval_s
        self._open: Counter[StreamToken] = Counter()
        self._revoked: dict[StreamToken, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None

    async def while_valid(
        self, token: StreamToken, steps: AsyncGenerator[T, None]
    ) -> AsyncIterator[T]:
        """The steps, until there are no more, or the token is not valid or its client's rights are
        not the same any more: who opens the stream again is judged anew. Closes them."""
        revoked = asyncio.ensure_future(self._opened(token).wait())
        step: asyncio.Future[T | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(anext(steps, None))
                await asyncio.wait({step, revoked}, return_when=asyncio.FIRST_COMPLETED)
                if revoked.done() or (value := step.result()) is None:
                    return
                yield value
        finally:
            revoked.cancel()
            self._closed(token)
            if step is not None and not step.done():
                step.cancel()
                await asyncio.wait({step})
            await steps.aclose()

    def _opened(self, token: StreamToken) -> asyncio.Event:
        self._open[token] += 1
        event = self._revoked.setdefault(token, asyncio.Event())
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._check_while_open(), name="stream-tokens")
        return event

    def _closed(self, token: StreamToken) -> None:
        self._open[token] -= 1
        if not self._open[token]:
            del self._open[token]
            del self._revoked[token]

    async def _check_while_open(self) -> None:
        while self._open:
            await asyncio.sleep(self._interval_s)
            for token, event in list(self._revoked.items()):
                with suppress(Unavailable):  # an outage of the store revokes nothing
                    if not await self._is_valid(token):
                        event.set()
