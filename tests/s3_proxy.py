"""A loopback proxy in front of an S3 server that makes trouble on request."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
LATE_ERROR = b"<Error><Code>InternalError</Code><Message>We were wrong.</Message></Error>"


class Trouble(Enum):
    """What the proxy does to a request."""

    NONE = "pass it on"
    BUSY = "answer 503 without passing it on"
    FULL = "answer 507 without passing it on"
    SILENT = "pass nothing on and never answer"
    HANG_UP = "read half of the request, then close"
    LOSE_ANSWER = "pass it on, then close without an answer"
    LATE_ERROR = "answer 200, and an error in the body"
    CUT = "pass it on, and close in the middle of the answer's body"


Plan = Callable[[str, str], Trouble]
"""(method, target) -> what to do to it."""


@dataclass
class TroubleProxy:
    """The running proxy. `plan` may be changed at any time."""

    endpoint: str = ""
    plan: Plan = lambda *_: Trouble.NONE
    seen: list[str] = field(default_factory=list)
    """`METHOD target` of every request."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever is silent then goes home."""


def first(times: int, trouble: Trouble, method: str = "", word: str = "") -> Plan:
    """Trouble for the first so many requests of a kind; then none."""
    left = [times]

    def plan(asked: str, target: str) -> Trouble:
        if left[0] and asked.startswith(method) and word in target:
            left[0] -= 1
            return trouble
        return Trouble.NONE

    return plan


@contextmanager
def trouble_in_front_of(endpoint: str) -> Iterator[TroubleProxy]:
    """A proxy that passes on everything until it gets another plan."""
    proxy = TroubleProxy()
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


def _handler(proxy: TroubleProxy, endpoint: str) -> type[BaseHTTPRequestHandler]:
    target_host = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        """One request: read, judged, perhaps passed on."""

        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            proxy.seen.append(f"{self.command} {self.path}")
            trouble = proxy.plan(self.command, self.path)
            length = int(self.headers.get("content-length", "0"))
            if trouble is Trouble.HANG_UP:
                self.rfile.read(length // 2)
                return self._hang_up()
            body = self.rfile.read(length)
            if trouble is Trouble.SILENT:
                proxy.over.wait()
                return self._hang_up()
            if trouble in _ANSWERS:
                return self._answer(*_ANSWERS[trouble])
            return self._pass_on(body, trouble)

        def _pass_on(self, body: bytes, trouble: Trouble) -> None:
            connection = http.client.HTTPConnection(target_host)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            if trouble is Trouble.LOSE_ANSWER:
                return self._hang_up()
            headers = {name.lower(): text for name, text in answer.getheaders()}
            if self.command != "HEAD":
                headers["content-length"] = str(len(content))
            headers.pop("transfer-encoding", None)
            cut = len(content) // 2 if trouble is Trouble.CUT else len(content)
            self._answer(answer.status, content[:cut], headers)
            if trouble is Trouble.CUT:
                self._hang_up()
            return None

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response_only(status)
            for name, text in (headers or {"content-length": str(len(body))}).items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def _hang_up(self) -> None:
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - as inherited

    return Handler


_ANSWERS = {
    Trouble.BUSY: (503, BUSY),
    Trouble.FULL: (507, b"<Error><Code>XMinioStorageFull</Code></Error>"),
    Trouble.LATE_ERROR: (200, LATE_ERROR),
}
