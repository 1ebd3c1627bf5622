"""A loopback proxy that forwards a request and drops the response.

A client cannot tell that from a request that never arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2 as httpx

HOP = {"connection", "transfer-encoding", "content-length", "host", "date", "server"}


@dataclass
class Lossy:
    """The proxy's address, what it drops, and the responses that it has dropped."""

    url: str = ""
    lose: set[str] = field(default_factory=set)
    """Suffixes of paths. The next response to a POST to each of them is dropped, once."""
    lost: list[bytes] = field(default_factory=list)


@contextmanager
def lossy_proxy(target: str) -> Iterator[Lossy]:
    """A proxy to `target`, for the duration of the block."""
    lossy = Lossy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._forward()

        def do_POST(self) -> None:
            self._forward()

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            response = httpx.request(
                self.command, target + self.path, headers=headers, content=body, timeout=60
            )
            ending = next((end for end in lossy.lose if self.path.endswith(end)), None)
            if self.command == "POST" and ending is not None:
                lossy.lose.discard(ending)
                lossy.lost.append(response.content)
                self.close_connection = True
                return
            self._send(response)

        def _send(self, response: httpx.Response) -> None:
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    lossy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield lossy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
