"""What a flow may ask of the shell that carries it out. A flow is a generator: it yields effects
and is sent their results, so the protocol is written once for `sync.py` and `aio.py`.
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
    """What the server was asked to wait, on top of the shell's own time limit."""

    def with_headers(self, **headers: str) -> Request:
        """The same request with more headers; `_` stands for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; header names in lower case. `body` is empty for a fetched file."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


class NoAnswerError(Exception):
    """Thrown into a flow when the network failed. The server may or may not have acted."""


class Sink(Protocol):
    """Where the bytes of a fetched file go. Its methods block; `aio.py` calls them in a thread."""

    def open(self, head: Response) -> bool:
        """Told the status and headers; whether the body is wanted."""
        ...

    def write(self, chunk: bytes) -> None:
        """The next bytes."""
        ...

    def close(self) -> None:
        """Called after `open`, however the transfer ended."""
        ...


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; gives a `Response`, or throws `NoAnswerError`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass; gives None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NeedToken:
    """A token that counts; gives the token. `refused` is one that the server did not take.

    The shell holds a lock meanwhile, so that many callers at once fetch one token.
    """

    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Stream an answer's raw bytes into a sink; gives the `Response` without body."""

    request: Request
    sink: Sink


@dataclass(frozen=True, slots=True)
class Block:
    """Call something that blocks (files, ciphers); gives what it returns."""

    call: Callable[[], Any]


Effect = Send | Sleep | NeedToken | Fetch | Block
Flow = Generator[Effect, Any, T]
