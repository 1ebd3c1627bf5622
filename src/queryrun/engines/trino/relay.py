"""What a worker may say to Trino: requests of the client protocol, passed on as the source's user.

The worker's connection is a socket of this process, and speaks plain HTTP/1.1. Encryption, user and
secret are added here. Nothing else of Trino can be reached, and no other user can be named.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler

from queryrun.engines.trino.endpoint import CERTIFICATE_REFUSED, TrinoEndpoint

MAX_BODY_BYTES = 16 * 1024**2
"""Of a request: a statement, rewritten."""
CONNECT_TIMEOUT_S, RESPONSE_TIMEOUT_S = 5.0, 40.0
_CHUNK_BYTES = 256 * 1024
_SEGMENT = r"/[A-Za-z0-9_=-](?:[A-Za-z0-9_.~=+-]|%3[Dd])*"
"""No segment of dots, and of what is escaped only the padding of an identifier."""
_PATH = re.compile(rf"/v1/(statement|spooled)({_SEGMENT})*(\?[A-Za-z0-9_.~%=&+-]*)?")
_PASSED = frozenset(
    {
        *("accept", "accept-encoding", "content-type", "user-agent"),
        *("x-trino-catalog", "x-trino-schema", "x-trino-source", "x-trino-client-tags"),
        *("x-trino-time-zone", "x-trino-query-data-encoding", "x-trino-client-capabilities"),
        *("traceparent", "x-trino-trace-token"),
    }
)
"""Not: who asks, for whom, in which role, with whose credentials."""
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


def serve_connection(
    connection: socket.socket, options: Mapping[str, str], secret: str | None
) -> None:
    """Pass the worker's requests on until either side closes; then `connection` is closed."""
    upstream = _Upstream(TrinoEndpoint.of(options, secret))
    with connection, contextlib.closing(upstream), contextlib.suppress(OSError):
        _Handler(upstream, connection)


class _Upstream:
    """The connection to Trino that belongs to one connection of the worker."""

    def __init__(self, endpoint: TrinoEndpoint) -> None:
        self._endpoint = endpoint
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> http.client.HTTPResponse:
        """Send it once. Only what changes nothing is sent again, on a new connection."""
        reused = None if method == "POST" else self._connection
        if reused is not None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self._sent(reused, method, path, headers, body)
        self.close()
        self._connection = self._connected()
        return self._sent(self._connection, method, path, headers, body)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> http.client.HTTPResponse:
        identity = {"X-Trino-User": self._endpoint.user} | self._authorization()
        connection.request(method, path, body or None, {**headers, **identity})
        return connection.getresponse()

    def _authorization(self) -> dict[str, str]:
        endpoint, secret = self._endpoint, self._endpoint.secret or ""
        if endpoint.auth == "token":
            return {"Authorization": f"Bearer {secret}"}
        if endpoint.auth == "password":
            pair = base64.b64encode(f"{endpoint.user}:{secret}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def _connected(self) -> http.client.HTTPConnection:
        endpoint = self._endpoint
        kind: type[http.client.HTTPConnection] | partial[http.client.HTTPSConnection]
        kind = http.client.HTTPConnection
        if endpoint.scheme == "https":
            kind = partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        connection = kind(endpoint.host, endpoint.port, timeout=CONNECT_TIMEOUT_S)
        connection.connect()
        connection.sock.settimeout(RESPONSE_TIMEOUT_S)
        return connection


class _Handler(BaseHTTPRequestHandler):
    """One request after the other; the standard library bounds lines and their number."""

    protocol_version = "HTTP/1.1"

    def __init__(self, upstream: _Upstream, connection: socket.socket) -> None:
        self._upstream = upstream
        super().__init__(connection, ("worker", 0), None)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        self._pass_on()

    def do_GET(self) -> None:
        self._pass_on()

    def do_HEAD(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def log_message(self, format: str, *args: object) -> None:
        """Statements must not be in a log."""

    def _pass_on(self) -> None:
        """A worker of ours asks for nothing else; a connection that fails is closed on it."""
        length = self.headers.get("content-length") or "0"
        is_known = _PATH.fullmatch(self.path) and "transfer-encoding" not in self.headers
        if not is_known or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self.send_error(403)
            return
        body = self.rfile.read(int(length))
        headers = {name: text for name, text in self.headers.items() if name.lower() in _PASSED}
        try:
            response = self._upstream.request(self.command, self.path, headers, body)
        except ssl.SSLError:
            self.send_error(CERTIFICATE_REFUSED, "Certificate refused")
        except (OSError, http.client.HTTPException):
            self.close_connection = True
        else:
            self._respond(response)

    def _respond(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(response.status, response.reason)
        for name, text in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, text)
        has_body = self.command != "HEAD" and response.status not in (204, 304)
        is_chunked = has_body and response.length is None
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif has_body:
            self.send_header("Content-Length", str(response.length))
        self.end_headers()
        try:
            while chunk := response.read1(_CHUNK_BYTES) if has_body else b"":
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk)
            if is_chunked:
                self.wfile.write(b"0\r\n\r\n")
            response.read()
        except (OSError, http.client.HTTPException):
            self.close_connection = True
        if self.close_connection or response.will_close:
            self._upstream.close()
