"""A receiver of messages on loopback, which keeps what arrives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ALLOWED = {
    "QUERYRUN_WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.1/32",
    "QUERYRUN_WEBHOOKS__ALLOW_HTTP": "true",
}
"""Settings of a server that may send here."""


@dataclass
class Messages:
    """The bodies that have arrived, by path."""

    url: str
    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def at(self, path: str) -> list[dict[str, Any]]:
        """Those of one path, in the order in which they came."""
        return [body for where, body in self.bodies if where == path]


@contextmanager
def receiving() -> Iterator[Messages]:
    """A receiver that takes everything."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            messages.bodies.append((self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        messages = Messages(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield messages
        finally:
            server.shutdown()
            thread.join()
