"""The effects that a flow yields. A flow is a generator: it yields effects and receives their
results, so the protocol is written once for `sync.py` and `aio.py`, which perform the effects.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Redirects are never followed."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    wait_s: float = 0.0
    """Seconds of long polling requested from the server, on top of the read timeout."""

    def with_headers(self, **headers: str) -> Request:
        """The same request with more headers; `_` in a name becomes `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True, slots=True)
class Response:
    """One response; header names in lower case. `body` is empty for a fetched file."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


class NoResponseError(Exception):
    """Thrown into a flow when the network failed. The server may have handled the request."""


class Sink(Protocol):
    """Where the bytes of a fetched file go. Its methods block; `aio.py` calls them in a thread."""

    def open(self, head: Response) -> bool:
        """Receives status and headers; returns whether to fetch the body."""
        ...

    def write(self, chunk: bytes) -> None:
        """Receives the next bytes."""
        ...

    def close(self) -> None:
        """Called after `open`, whether or not the transfer succeeded."""
        ...


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; returns a `Response`, or throws `NoResponseError`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; returns None. `reason`: what for, when it is the server's fault."""

    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NeedToken:
    """Returns a valid token. `refused` is one that the server did not accept.

    The client holds a lock meanwhile, so that concurrent callers fetch one token.
    """

    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Stream a response's raw bytes into a sink; returns the `Response` without body."""

    request: Request
    sink: Sink


@dataclass(frozen=True, slots=True)
class Block:
    """Call a blocking function (files, ciphers); returns its result."""

    call: Callable[[], Any]


Effect = Send | Sleep | NeedToken | Fetch | Block
Flow = Generator[Effect, Any, T]
