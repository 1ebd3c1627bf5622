"""How long after a change of state a webhook's first attempt arrives, on both databases.

Runs are submitted at a steady rate; each has three events. The event's time is in the message, and
the receiver's clock is the same machine's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from pathlib import Path
from threading import Thread
from typing import Any

from tests.postgres_server import running as running_postgres

from benchmarks import table
from benchmarks.served import Served, served

RUNS = 400
PAUSE_S = 0.05
EVENTS = ("run.accepted", "run.in_progress", "run.complete")
ENVIRON = {
    "QUERYRUN_WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.1/32",
    "QUERYRUN_WEBHOOKS__ALLOW_HTTP": "true",
}
TIMEOUT_S = 60.0


class _Receiver(ThreadingHTTPServer):
    """Takes messages at once; keeps how old each was, by its event."""

    def __init__(self) -> None:
        self.ages_ms: list[tuple[str, float]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """One message."""
        now_s = time.time()
        content = loads(self.rfile.read(int(self.headers["content-length"])))
        at_s = datetime.fromisoformat(content["timestamp"]).timestamp()
        assert isinstance(self.server, _Receiver)
        self.server.ages_ms.append((content["type"], (now_s - at_s) * 1000))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


def measure() -> None:
    """Print the table: milliseconds from the state to the arrival of the first attempt."""
    rows = []
    with served(ENVIRON) as server:
        rows += _delays("SQLite", server)
    with running_postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        url_file = Path(folder) / "database.url"
        url_file.write_text(postgres.url(postgres.new_database()))
        with served(ENVIRON, url_file) as server:
            rows += _delays("PostgreSQL", server)
    head = ["database", "event", "messages", "p50 ms", "p99 ms", "max ms"]
    rate = f"{RUNS} runs, {1 / PAUSE_S:.0f}/s"
    table.show(f"From the state to a webhook's first attempt, {rate}", head, rows)


def _delays(database: str, server: Served) -> list[list[str]]:
    with _receiving() as receiver:
        url = f"http://127.0.0.1:{receiver.server_port}/"
        server.http.post("/v2/webhooks", json={"url": url}).raise_for_status()
        for _ in range(RUNS):
            server.submit("SELECT 1 AS one")
            time.sleep(PAUSE_S)
        deadline = time.monotonic() + TIMEOUT_S
        while len(receiver.ages_ms) < len(EVENTS) * RUNS:
            assert time.monotonic() < deadline, f"{len(receiver.ages_ms)} messages have arrived"
            time.sleep(0.05)
        found = list(receiver.ages_ms)
    return [
        _row(database, event, [age for name, age in found if event in (name, "all")])
        for event in (*EVENTS, "all")
    ]


def _row(database: str, event: str, ages_ms: list[float]) -> list[str]:
    figures = [table.percentile(ages_ms, 50), table.percentile(ages_ms, 99), max(ages_ms)]
    return [database, event, str(len(ages_ms)), *(f"{value:.0f}" for value in figures)]


@contextmanager
def _receiving() -> Iterator[_Receiver]:
    receiver = _Receiver()
    thread = Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
