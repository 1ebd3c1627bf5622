"""Signed requests to one S3 endpoint over a few idle connections. Knows no operation of S3.

It uses the standard library's HTTP client, which imports in 30 ms; a worker needs no more than one
blocking request per thread (docs/decisions/0008-s3.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain, repeat
from typing import TypeVar
from urllib.parse import urlsplit

from queryrun.results.sigv4 import SignRequest, UnsignedRequest, encoded, signed_at

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""The longest response that is buffered: a page of a listing has at most 1,000 entries."""
_SKEWED = "RequestTimeTooSkewed"
_MAX_IDLE_CONNECTIONS = 4
_SILENCE_S = 10
"""How long the other machine may acknowledge nothing before the kernel ends the connection: after
a cut network the next try begins on a new one, and waits for no retransmissions of the old one."""
_OUTAGES = frozenset({"NoSuchBucket", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_OUTAGE_PAUSES_S = (1.0, 2.0, 5.0)
_ADVICE = {
    "NoSuchBucket": "create the bucket, or name another in results.bucket",
    "SignatureDoesNotMatch": "give the node the right secret key (results.credentials_file)",
    "InvalidAccessKeyId": "give the node a key that the store knows (results.credentials_file)",
    "AccessDenied": "allow the node's key to list, read, write and delete below results.prefix",
    "Unreachable": "start the store, or correct results.endpoint",
    "TimedOut": "nothing answers at results.endpoint: check the network",
    "RequestTimeTooSkewed": "set the clock of this node",
}
_BUSY = frozenset({429, 500, 502, 503, 504})
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")

T = TypeVar("T")


class S3Error(Exception):
    """The store refused the request or did not respond. `code` is S3's error code."""

    def __init__(self, code: str, status: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        """0: there was no response."""

    @property
    def is_transient(self) -> bool:
        """Whether a retry may succeed soon."""
        return self.status == 0 or self.status in _BUSY

    @property
    def is_outage(self) -> bool:
        """Whether the trouble is the store's or the operator's, not this request's."""
        return self.is_transient or self.status == 403 or self.code in _OUTAGES

    @property
    def advice(self) -> str:
        """What an operator can do about it."""
        return _ADVICE.get(self.code, "")


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """Timeouts and retries of one request. Retries are few and short: a run has its own."""

    connect_timeout_s: float = 5.0
    response_timeout_s: float = 30.0
    """For sending the body, and then for each read."""
    retry_delays_s: tuple[float, ...] = (0.0, 0.3, 1.0)
    """Before each retry of a transient error; the first one covers a stale connection."""
    outage_timeout_s: float = 0.0
    """How long to go on after that while the store is away or refuses everybody: an attempt waits
    with its result rather than compute it again."""


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request; `body` is in memory, so that it can be sent again."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | bytearray = b""


@dataclass(frozen=True, slots=True)
class S3Response:
    """A complete response with a status below 300."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3Http:
    """A client of `endpoint` (`https://host[:port]`). Thread-safe."""

    def __init__(
        self,
        endpoint: str,
        sign: SignRequest,
        policy: RequestPolicy | None = None,
        connect: Callable[[], socket.socket] | None = None,
    ) -> None:
        """`connect`: how to get a connected socket to the endpoint, in place of opening one."""
        self.offset = timedelta()
        """What to add to the signer's time: S3 refuses signatures of more than 15 minutes ago or
        ahead, and says what time it has."""
        parts = urlsplit(endpoint)
        self.host = parts.netloc
        self.policy = policy or RequestPolicy()
        self._is_tls = parts.scheme == "https"
        self._name, self._port = parts.hostname or "", parts.port
        self._sign = sign
        self._connect = connect
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def send(self, request: S3Request) -> S3Response:
        """Send a request, with retries. Raises `S3Error` for statuses of 300 and above."""
        return self._with_retries(lambda: self._exchange(request))

    def stream(self, request: S3Request, chunk_bytes: int) -> tuple[S3Response, Iterator[bytes]]:
        """The response without its body, and the body in chunks, which must be read or closed.

        Reading raises `S3Error` when the body ends before its announced length.
        """
        connection, response = self._with_retries(lambda: self._begin(request))
        head = S3Response(response.status, _headers(response), b"")
        return head, self._chunks(connection, response, chunk_bytes)

    def close(self) -> None:
        """Close the idle connections. The client may still be used."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _with_retries(self, attempt: Callable[[], T]) -> T:
        """The last attempt is outside the loop, so that its error is raised in any case."""
        for pause_s in self.policy.retry_delays_s:
            try:
                return attempt()
            except S3Error as error:
                if not error.is_transient and error.code != _SKEWED:
                    raise
                time.sleep(pause_s)
        return self._through_outage(attempt)

    def _through_outage(self, attempt: Callable[[], T]) -> T:
        deadline_s = time.monotonic() + self.policy.outage_timeout_s
        for pause_s in chain(_OUTAGE_PAUSES_S, repeat(_OUTAGE_PAUSES_S[-1])):
            try:
                return attempt()
            except S3Error as error:
                if not error.is_outage or time.monotonic() + pause_s > deadline_s:
                    raise
                time.sleep(pause_s)
        raise AssertionError("an endless loop ended")

    def _exchange(self, request: S3Request) -> S3Response:
        connection, response = self._begin(request)
        with self._closing_on_error(connection):
            body = _whole_body(response)
        self._release(connection, response)
        return S3Response(response.status, _headers(response), body)

    def _begin(
        self, request: S3Request
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send the request. The response has a success status, and its body is still unread."""
        connection = self._connection()
        with self._closing_on_error(connection):
            signed = self._put(connection, request)
            response = connection.getresponse()
            if response.status >= 300:
                code = _code(response)
                if code == _SKEWED:
                    self._take_time_of(response, signed)
                raise S3Error(code, response.status)
        return connection, response

    def _put(self, connection: http.client.HTTPConnection, request: S3Request) -> datetime:
        """Returns when it was signed, by the signer's clock."""
        digest = hashlib.sha256(request.body).hexdigest()
        unsigned = UnsignedRequest(
            request.method, self.host, request.path, request.query, request.headers, digest
        )
        headers = dict(self._sign(unsigned, self.offset))
        if request.body or request.method in {"PUT", "POST"}:
            headers["content-length"] = str(len(request.body))
        target = request.path + ("?" + encoded(request.query) if request.query else "")
        with contextlib.suppress(BrokenPipeError):  # the server may respond before it closes
            connection.request(request.method, target, request.body or None, headers)
        return signed_at(headers)

    def _take_time_of(self, response: http.client.HTTPResponse, signed: datetime) -> None:
        """The signer's clock may be another machine's, so only the difference counts."""
        with contextlib.suppress(TypeError, ValueError):
            self.offset += parsedate_to_datetime(response.getheader("date", "")) - signed

    @contextlib.contextmanager
    def _closing_on_error(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """A connection that failed mid-request has unread bytes and must not be reused. Idle ones
        are of the same time, and perhaps as dead: a retry must not wait for one after the other."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.close()
            raise S3Error(_error_code(error)) from error
        except BaseException:
            connection.close()
            raise

    def _chunks(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        chunk_bytes: int,
    ) -> Iterator[bytes]:
        """Checks the length: a connection that closes early would look like the end of the file."""
        left = response.length or 0
        with self._closing_on_error(connection):
            while left:
                chunk = response.read(min(left, chunk_bytes))
                if not chunk:
                    raise S3Error("Truncated")
                left -= len(chunk)
                yield chunk
        self._release(connection, response)

    def _connection(self) -> http.client.HTTPConnection:
        """Two timeouts: a connect fails fast, a response may take longer."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = self._new_connection()
        with self._closing_on_error(connection):
            self._open(connection)
            connection.sock.settimeout(self.policy.response_timeout_s)
        return connection

    def _open(self, connection: http.client.HTTPConnection) -> None:
        """On a socket that somebody has connected, all that is left to do is TLS."""
        if self._connect is None:
            connection.connect()
            bound_silence(connection.sock)
            return
        connection.sock = self._connect()
        connection.sock.settimeout(self.policy.connect_timeout_s)
        if self._is_tls:
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=self._name)

    def _new_connection(self) -> http.client.HTTPConnection:
        """A default TLS context, so that certificates are always verified."""
        timeout_s = self.policy.connect_timeout_s
        if not self._is_tls:
            return http.client.HTTPConnection(self._name, self._port, timeout=timeout_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            self._name, self._port, timeout=timeout_s, context=context
        )

    def _release(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        """Keeps a few connections only, since idle ones cost a socket each."""
        with self._lock:
            if not response.will_close and len(self._idle) < _MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()


def bound_silence(connection: socket.socket) -> None:
    """The kernel ends this TCP connection when nothing of it is acknowledged for `_SILENCE_S`."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, _SILENCE_S),
        (socket.TCP_KEEPINTVL, 3),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, _SILENCE_S * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _whole_body(response: http.client.HTTPResponse) -> bytes:
    body = response.read(MAX_RESPONSE_BYTES)
    if response.read(1):
        raise S3Error("ResponseTooLong", response.status)
    return body


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): text for name, text in response.getheaders()}


def _code(response: http.client.HTTPResponse) -> str:
    """S3's error code; responses to HEAD have no body and so no code."""
    found = _CODE.search(response.read(64 * 1024).decode("utf-8", "replace"))
    return found[1] if found else f"HTTP{response.status}"


def _error_code(error: Exception) -> str:
    """A code for a connection error, in the style of S3's codes."""
    if isinstance(error, TimeoutError):
        return "TimedOut"
    if isinstance(error, ssl.SSLError):
        return "InsecureConnection"
    return "Unreachable" if isinstance(error, OSError) else "InvalidResponse"
