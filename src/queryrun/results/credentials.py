"""Credentials of the S3 store that may change while the node runs.

A source fetches credentials: from a file, from the environment, or from the role of the node
(`aws_chain.py`). `RotatingCredentials` keeps the newest ones; every request is signed with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from queryrun.errors import ConfigurationError
from queryrun.results.sigv4 import Credentials

log = structlog.get_logger()

REFRESH_INTERVAL_S = 30.0
"""How soon a change is noticed. Credentials of a role are renewed 15 minutes before they expire."""


class RotatingCredentials:
    """The current credentials. A call returns them and never blocks on the network."""

    def __init__(
        self,
        fetch: Callable[[], Credentials],
        *,
        is_remote: bool,
        interval_s: float = REFRESH_INTERVAL_S,
    ) -> None:
        """Fetch once, blocking. Raises `ConfigurationError` when there are none.

        `is_remote`: a fetch may use the network, so only the background task fetches. Otherwise
        every call does, and new keys in a file take effect at once.
        """
        self._fetch = fetch
        self._is_remote = is_remote
        self._interval_s = interval_s
        self._latest = fetch()
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> Credentials:
        """The newest credentials that could be fetched."""
        if not self._is_remote:
            self._refresh()
        return self._latest

    def start(self) -> None:
        """Begin to refresh on the running event loop."""
        self._task = asyncio.create_task(self._keep_fresh(), name="s3-credentials")

    async def close(self) -> None:
        """Stop refreshing. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_fresh(self) -> None:
        """Fetches in a thread, because the credential chain does blocking I/O."""
        while True:
            await asyncio.sleep(self._interval_s)
            await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        """After an error the last good credentials stay in use: they may not have expired yet."""
        try:
            self._latest = self._fetch()
        except ConfigurationError as error:
            log.warning("s3_credentials_unreadable", error=str(error))
        except Exception as error:  # if the task stopped, the credentials would expire
            log.warning("s3_credentials_unreadable", error=type(error).__name__)
