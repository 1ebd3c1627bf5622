"""What traces cost: submits/s of a server that records every trace, beside one that records none.

The collector is a process that reads requests and says that they are fine.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from benchmarks import load, table
from benchmarks.served import Served, served

ROUNDS = 15
SUBMITS = 1000
CONNECTIONS = 32
QUIET = {"QUERYRUN_WORKERS__SLOTS": "0"}
"""Nothing is claimed meanwhile."""


def measure() -> None:
    """Print the ratio of the medians of rounds that take turns."""
    with (
        _collector() as endpoint,
        served(QUIET) as off,
        served(QUIET | {"QUERYRUN_TRACING__ENDPOINT": endpoint}) as on,
    ):
        sides = {"off": off, "on": on}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(ROUNDS + 1):
            for name in list(sides)[:: 1 if number % 2 else -1]:
                rate = _submits_per_s(sides[name])
                if number:  # the first round warms up
                    rates[name].append(rate)
        lost = _lost(on)
    medians = {name: statistics.median(of) for name, of in rates.items()}
    rows = [
        [name, f"{medians[name]:.0f}", f"{medians[name] / medians['off']:.3f}"] for name in sides
    ]
    table.show(f"Durable submits with traces; {lost:.0f} spans lost (bar: 0.98)", _HEAD, rows)


_HEAD = ["traces", "submits/s, median", "ratio"]


def _submits_per_s(server: Served) -> float:
    request = load.submit_request(server.port, server.token, "SELECT 1")
    result = load.run(load.Load(server.port, request, CONNECTIONS, SUBMITS, 201))
    return len(result.latencies_s) / result.duration_s


def _lost(server: Served) -> float:
    """Spans that the server has dropped or could not send."""
    lines = server.http.get("/metrics").text.splitlines()
    spans = [line for line in lines if line.startswith("queryrun_spans_total")]
    assert any("exported" in line and not line.endswith(" 0.0") for line in spans)
    return sum(float(line.split()[-1]) for line in spans if "exported" not in line)


@contextmanager
def _collector() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ports: Any = context.SimpleQueue()
    process = context.Process(target=_collect, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.terminate()
        process.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _collect(ports: Any) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    ports.put(server.server_port)
    server.serve_forever()
