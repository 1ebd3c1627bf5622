"""Trino for `services/remote_stop`: finds work by its name, stops it, proves that it is gone.

It asks the coordinator's own list (`/v1/query`), which needs no statement, and so never finds
itself. What an account sees there and may end are its own queries, unless Trino's access rules
say more (docs/how-to/trino.md). The list goes back a quarter of an hour
(`query.min-expire-age`), with two kilobytes for each query, so only those that have not ended are
asked for, where that is possible.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import requests

from queryrun.engines.base import REMOTE_BOUND_S, WORK_PREFIX, RemoteEndpoint
from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.failures import failure_of
from queryrun.errors import FailureCode, RunFailed

_TERMINAL_STATES = frozenset(["FINISHED", "FAILED"])
ALIVE = (
    "QUEUED",
    "WAITING_FOR_RESOURCES",
    "DISPATCHING",
    "PLANNING",
    "STARTING",
    "RUNNING",
    "FINISHING",
)
"""The other states of Trino's `QueryState`."""
_FILTERS_SINCE = 476
"""From this version on the list is known to take several states at once. An older one may heed
the first alone, and so hide what runs: there the whole list is read."""
_SECOND_CHECK_S = 0.1
"""A statement may be on its way when its sender is killed. Trino begins it only when the sender
asks for its first page, so what could still appear has been sent before we first looked."""
_POLLS_S = (0.005, 0.01, 0.02, 0.05)
"""Between looks at work that is being ended; the last one repeats."""
_MISSING = {404, 410}


@dataclass(frozen=True, slots=True)
class _Work:
    """A query of ours that has not ended."""

    query_id: str
    name: str


class TrinoRemote:
    """See `RemoteEngine`. Keeps nothing between calls."""

    def stop(self, endpoint: RemoteEndpoint, name: str) -> None:
        """End all queries whose source is `name`; returns when Trino shows none of them alive.

        Found none, it looks twice. About 150 ms for a name that is not there.
        """
        with _Coordinator(endpoint) as trino:
            found = trino.work(name)
            if not found:
                trino.sleep(_SECOND_CHECK_S)
                found = trino.work(name)
            for pause_s in _pauses():
                if not found:
                    return
                for work in found:
                    trino.kill(work)
                trino.sleep(pause_s)
                found = trino.work(name)

    def names(self, endpoint: RemoteEndpoint) -> list[str]:
        """The names of all our work there, each once."""
        with _Coordinator(endpoint) as trino:
            return sorted({work.name for work in trino.work()})

    def check(self, endpoint: RemoteEndpoint) -> None:
        """Whether Trino has started and accepts who we are; it says nothing about its workers."""
        with _Coordinator(endpoint) as trino:
            if trino.get("/v1/info").get("starting") is not False:
                raise _unavailable("The engine is starting")
            trino.work()


def _pauses() -> Iterator[float]:
    yield from _POLLS_S
    while True:
        yield _POLLS_S[-1]


class _Coordinator:
    """A series of requests to a coordinator that takes `REMOTE_BOUND_S` at most."""

    def __init__(self, endpoint: RemoteEndpoint) -> None:
        self._endpoint = TrinoEndpoint.of(endpoint.options, endpoint.secret)
        self._until = time.monotonic() + REMOTE_BOUND_S
        self._http = self._endpoint.http()

    def __enter__(self) -> _Coordinator:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def work(self, name: str = "") -> list[_Work]:
        """The queries of that name, or of all names of ours, that have not ended."""
        return [
            _Work(str(query["queryId"]), source)
            for query in self.get(f"/v1/query{self._filter}")
            if query.get("state") not in _TERMINAL_STATES
            and (source := str(query["session"].get("source") or "")).startswith(WORK_PREFIX)
            and name in {"", source}
        ]

    def kill(self, work: _Work) -> None:
        """Ask for its end. That it is gone already is as good."""
        url = f"{self._endpoint.url}/v1/query/{work.query_id}"
        response = self._respond(lambda timeout_s: self._http.delete(url, timeout=timeout_s))
        if not response.ok and response.status_code not in _MISSING:
            raise _refused(response.status_code)

    def get(self, path: str) -> Any:
        """What the coordinator answers to a question."""
        url = f"{self._endpoint.url}{path}"
        response = self._respond(lambda timeout_s: self._http.get(url, timeout=timeout_s))
        if not response.ok:
            raise _refused(response.status_code)
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise _unavailable("The engine's answer could not be read") from error

    def sleep(self, pause_s: float) -> None:
        """Wait, within the bound."""
        time.sleep(min(pause_s, self._left_s()))

    @cached_property
    def _filter(self) -> str:
        version_text = self.get("/v1/info").get("nodeVersion", {}).get("version", "")
        version = re.match(r"\d+", str(version_text))
        if version is None or int(version[0]) < _FILTERS_SINCE:
            return ""
        return "?" + "&".join(f"state={state}" for state in ALIVE)

    def _respond(self, request: Callable[[float], requests.Response]) -> requests.Response:
        try:
            return request(self._left_s())
        except requests.RequestException as error:
            raise failure_of(error) from error

    def _left_s(self) -> float:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise _unavailable("The engine has not ended the work in time")
        return left_s


def _refused(status: int) -> RunFailed:
    if status in {401, 403}:
        return _unavailable("The engine does not accept the source's credentials")
    return _unavailable(f"The engine refuses (HTTP {status})")


def _unavailable(message: str) -> RunFailed:
    return RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, message)
