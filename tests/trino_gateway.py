"""A gateway before a Trino that sets session properties, as operators put one there for limits.

It adds a header to every statement and carries the rest as it is. Trino builds the URLs of its
responses from `Host`, which passes unchanged, so that they lead here again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2 as httpx

_OF_A_CONNECTION = {"connection", "transfer-encoding", "content-length", "content-encoding"}


@contextmanager
def gateway(target: str, properties: Mapping[str, str]) -> Iterator[str]:
    """The gateway's URL. `properties`: session properties of every statement that passes."""
    session = ", ".join(f"{name}={value}" for name, value in properties.items())
    with httpx.Client(base_url=target, timeout=60) as client:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(client, session))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(client: httpx.Client, session: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {**self.headers, "accept-encoding": "identity"}
            if self.command == "POST":
                headers["x-trino-session"] = session
            response = client.request(self.command, self.path, content=body, headers=headers)
            self.send_response(response.status_code)
            for name, value in response.headers.multi_items():
                if name.lower() not in _OF_A_CONNECTION:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
