"""A loopback proxy in front of an S3 server that injects faults on request."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
LATE_ERROR = b"<Error><Code>InternalError</Code><Message>We were wrong.</Message></Error>"


class Fault(Enum):
    """What the proxy does to a request."""

    NONE = "pass it on"
    BUSY = "answer 503 without passing it on"
    FULL = "answer 507 without passing it on"
    SILENT = "pass nothing on and never answer"
    HANG_UP = "read half of the request, then close"
    LOSE_RESPONSE = "pass it on, then close without an answer"
    LATE_ERROR = "answer 200, and an error in the body"
    CUT = "pass it on, and close in the middle of the answer's body"


Plan = Callable[[str, str], Fault]
"""(method, target) -> what to do to it."""


@dataclass
class FaultProxy:
    """The running proxy. `plan` may be changed at any time."""

    endpoint: str = ""
    plan: Plan = lambda *_: Fault.NONE
    seen: list[str] = field(default_factory=list)
    """`METHOD target` of every request."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever is silent then goes home."""


def first(times: int, fault: Fault, method: str = "", word: str = "") -> Plan:
    """Errors for the first N requests of a kind; then none."""
    left = [times]

    def plan(request_method: str, target: str) -> Fault:
        if left[0] and request_method.startswith(method) and word in target:
            left[0] -= 1
            return fault
        return Fault.NONE

    return plan


@contextmanager
def fault_proxy(endpoint: str) -> Iterator[FaultProxy]:
    """A proxy that passes on everything until it gets another plan."""
    proxy = FaultProxy()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy, endpoint))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        proxy.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(proxy: FaultProxy, endpoint: str) -> type[BaseHTTPRequestHandler]:
    target_host = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        """One request: read, judged, perhaps passed on."""

        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            proxy.seen.append(f"{self.command} {self.path}")
            fault = proxy.plan(self.command, self.path)
            length = int(self.headers.get("content-length", "0"))
            if fault is Fault.HANG_UP:
                self.rfile.read(length // 2)
                return self._hang_up()
            body = self.rfile.read(length)
            if fault is Fault.SILENT:
                proxy.over.wait()
                return self._hang_up()
            if fault in _RESPONSES:
                return self._respond(*_RESPONSES[fault])
            return self._pass_on(body, fault)

        def _pass_on(self, body: bytes, fault: Fault) -> None:
            connection = http.client.HTTPConnection(target_host)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                content = response.read()
            finally:
                connection.close()
            if fault is Fault.LOSE_RESPONSE:
                return self._hang_up()
            headers = {name.lower(): text for name, text in response.getheaders()}
            if self.command != "HEAD":
                headers["content-length"] = str(len(content))
            headers.pop("transfer-encoding", None)
            cut = len(content) // 2 if fault is Fault.CUT else len(content)
            self._respond(response.status, content[:cut], headers)
            if fault is Fault.CUT:
                self._hang_up()
            return None

        def _respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response_only(status)
            for name, text in (headers or {"content-length": str(len(body))}).items():
                self.send_header(name, text)
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked has given up
                self.wfile.write(body)

        def _hang_up(self) -> None:
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - as inherited

    return Handler


_RESPONSES = {
    Fault.BUSY: (503, BUSY),
    Fault.FULL: (507, b"<Error><Code>XMinioStorageFull</Code></Error>"),
    Fault.LATE_ERROR: (200, LATE_ERROR),
}
