"""Whether and when one call is retried. Without I/O: it yields the delays, or raises."""

from __future__ import annotations

import random
from urllib.parse import urlsplit

from queryrun_client.effects import Flow, NoResponseError, Response, Sleep
from queryrun_client.errors import Unreachable
from queryrun_client.model import Retry
from queryrun_client.wire import retry_after_s

RETRIED = frozenset({429, 502, 503, 504})
"""Sent before the request was handled, or by a proxy in front of the server (contract H24)."""


class RetryState:
    """Attempts and delays of one call so far."""

    def __init__(self, retry: Retry, url: str) -> None:
        """`url` is where the call goes. Messages name its server and no more: a path may be a link
        with a signature."""
        self._retry = retry
        parts = urlsplit(url)
        self._server = f"{parts.scheme}://{parts.hostname or ''}"
        if ":" in (parts.hostname or ""):
            self._server = f"{parts.scheme}://[{parts.hostname}]"
        if parts.port is not None:
            self._server += f":{parts.port}"
        self._attempts = 0
        self._delayed_s = 0.0

    def reset(self) -> None:
        """Count from zero again, because the call has made progress."""
        self._attempts, self._delayed_s = 0, 0.0

    def after_no_response(self, error: NoResponseError) -> Flow[None]:
        """Wait before the next attempt; raise `Unreachable` when none is left."""
        delay_s = self._next_delay_s(None)
        reason = f"{self._server} does not respond: {error}"
        if delay_s is None:
            raise Unreachable(reason) from error
        yield Sleep(delay_s, reason)

    def after(self, response: Response) -> Flow[bool]:
        """Wait and return True when the call must be retried; False: use this response."""
        requested_s = retry_after_s(response)
        is_retried = response.status in RETRIED
        if not is_retried and not (response.status == 409 and requested_s is not None):
            return False
        delay_s = self._next_delay_s(requested_s)
        if delay_s is None:
            return False
        yield Sleep(delay_s, f"{self._server} responded {response.status}")
        return True

    def _next_delay_s(self, requested_s: float | None) -> float | None:
        """Count an attempt; the delay before the next, or None when attempts or budget are used."""
        self._attempts += 1
        retry = self._retry
        doubled_s = min(retry.first_delay_s * 2 ** (self._attempts - 1), retry.max_delay_s)
        jittered_s = doubled_s * (0.5 + random.random() / 2)  # noqa: S311 spreads retries only
        delay_s = jittered_s if requested_s is None else requested_s
        self._delayed_s += delay_s
        exhausted = self._attempts >= retry.attempts or self._delayed_s > retry.budget_s
        return None if exhausted else delay_s
