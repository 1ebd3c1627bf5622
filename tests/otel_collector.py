"""A real OpenTelemetry collector for tests, built of its own modules (`tests/e2e/collector`).

It takes OTLP over gRPC and HTTP on free ports and writes what it got as lines of JSON. `make
otel-collector` builds it into .cache/bin. Where it is missing its tests are skipped, in CI they
fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

PROGRAM = Path(__file__).parent.parent / ".cache" / "bin" / "otelcol"
WAIT_S = 60.0

CONFIG = """\
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters:
  file: {{path: "{path}", flush_interval: 100ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
"""


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as the collector wrote it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector."""

    http_url: str
    grpc_url: str
    path: Path

    def spans(self) -> list[ReceivedSpan]:
        """All that it has got so far."""
        if not self.path.exists():
            return []
        lines = self.path.read_text("utf-8").splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [span for line in whole for span in _spans_of(line)]

    def until(self, names: set[str], trace_id: str) -> list[ReceivedSpan]:
        """The spans of the trace, once it has these names."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            found = [span for span in self.spans() if span.trace_id == trace_id]
            if names <= {span.name for span in found}:
                return found
            assert time.monotonic() < deadline_s, f"{names} in {[span.name for span in found]}"
            time.sleep(0.1)


def _spans_of(line: dict[str, Any]) -> Iterator[ReceivedSpan]:
    for of_resource in line["resourceSpans"]:
        resource = _attributes(of_resource["resource"])
        for scope in of_resource["scopeSpans"]:
            for span in scope["spans"]:
                yield ReceivedSpan(
                    span["name"],
                    span["traceId"],
                    span["spanId"],
                    span.get("parentSpanId", ""),
                    span["kind"],
                    int(span["startTimeUnixNano"]),
                    int(span["endTimeUnixNano"]),
                    _attributes(span),
                    resource,
                    span.get("status", {}).get("message", ""),
                )


def _attributes(of: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in of.get("attributes", [])}


@contextmanager
def running(folder: Path) -> Iterator[Collector]:
    """A collector that is ready."""
    if not PROGRAM.exists():
        if os.environ.get("CI") and not os.environ.get("WITHOUT_COLLECTOR"):
            raise AssertionError("run `make otel-collector` first")
        pytest.skip("no collector: run `make otel-collector`")
    grpc, http, path = free_port(), free_port(), folder / "spans.jsonl"
    config = folder / "collector.yaml"
    config.write_text(CONFIG.format(grpc=grpc, http=http, path=path))
    log_path = folder / "collector.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen([PROGRAM, "--config", config], stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + WAIT_S
        while b"Everything is ready" not in log_path.read_bytes():
            assert process.poll() is None, log_path.read_text()
            assert time.monotonic() < deadline_s, log_path.read_text()
            time.sleep(0.05)
        yield Collector(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}", path)
    finally:
        process.terminate()
        process.wait()
