"""A remote engine as a node calls it: again, when it did not respond in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from queryrun.engines.base import RemoteEndpoint, RemoteEngine
from queryrun.errors import FailureCode, RunFailed

T = TypeVar("T")

MAX_CALLS = 6
"""Of a few seconds each (`engines.base.REMOTE_BOUND_S`): enough for an engine that computes an
endless statement on a machine that is busy with other tests."""


class RetryingRemote:
    """See `engines.base.RemoteEngine`. Only an engine that stays silent fails the test."""

    def __init__(self, remote: RemoteEngine) -> None:
        self._remote = remote

    def stop(self, endpoint: RemoteEndpoint, name: str) -> None:
        """End the work of this name."""
        _with_retries(lambda: self._remote.stop(endpoint, name))

    def names(self, endpoint: RemoteEndpoint) -> list[str]:
        """The names of our work that it runs."""
        return list(_with_retries(lambda: self._remote.names(endpoint)))

    def check(self, endpoint: RemoteEndpoint) -> None:
        """Return when it takes statements."""
        _with_retries(lambda: self._remote.check(endpoint))


def _with_retries(call: Callable[[], T]) -> T:
    for _ in range(MAX_CALLS - 1):
        try:
            return call()
        except RunFailed as failed:
            if failed.failure.code is not FailureCode.ENGINE_UNAVAILABLE:
                raise
    return call()
