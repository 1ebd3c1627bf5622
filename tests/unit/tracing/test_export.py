"""Spans are sent by a thread of their own, bounded, and what is lost is counted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from queryrun.errors import ConfigurationError
from queryrun.settings.file import load
from queryrun.tracing import export
from queryrun.tracing.export import SpanExporter, SpanMetrics
from queryrun.tracing.otlp import request_of
from queryrun.tracing.span import Span, SpanKind, SpansRefusedError
from queryrun.wiring import tracing
from queryrun.wiring.tracing import make_tracing


def span(number: int = 0) -> Span:
    return Span(
        "run",
        SpanKind.CLIENT,
        "ab" * 16,
        f"{number:016x}",
        "cd" * 8,
        1_000,
        2_000,
        (("text", "ü"), ("count", 3), ("is", True), ("share", 0.5)),
        "query_failed",
    )


class HeldSender:
    """Sends nothing before it is let go; then it raises what it was given, or takes the spans."""

    def __init__(self, error: Exception | None = None) -> None:
        self.let_go = threading.Event()
        self.sent: list[Span] = []
        self.attempts = 0
        self._error = error

    def send(self, spans: list[Span]) -> None:
        self.let_go.wait(60)
        self.attempts += 1
        if self._error is not None:
            raise self._error
        self.sent += spans

    def close(self) -> None:
        self.let_go.set()


def counted(registry: CollectorRegistry) -> dict[str, float]:
    return {
        outcome: registry.get_sample_value("queryrun_spans_total", {"outcome": outcome}) or 0
        for outcome in ("exported", "dropped", "failed")
    }


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    monkeypatch.setattr(export, "INTERVAL_S", 0.01)
    monkeypatch.setattr(export, "RETRY_PAUSES_S", (0.0, 0.0))
    return CollectorRegistry()


def test_spans_beyond_the_bound_are_dropped_and_counted(registry: CollectorRegistry) -> None:
    sender = HeldSender()
    exporter = SpanExporter(sender, SpanMetrics.on(registry), max_spans=5)
    for number in range(8):
        exporter.add(span(number))
    exporter.start()
    sender.let_go.set()
    exporter.close()
    assert [one.span_id for one in sender.sent] == [f"{number:016x}" for number in range(5)]
    assert counted(registry) == {"exported": 5, "dropped": 3, "failed": 0}


def test_a_batch_is_tried_again_and_then_given_up(registry: CollectorRegistry) -> None:
    sender = HeldSender(OSError("away"))
    exporter = SpanExporter(sender, SpanMetrics.on(registry), max_spans=5)
    exporter.add(span())
    sender.let_go.set()
    exporter._send_waiting()
    assert sender.attempts == 3
    assert counted(registry) == {"exported": 0, "dropped": 0, "failed": 1}


def test_what_the_collector_refuses_is_not_tried_again(registry: CollectorRegistry) -> None:
    sender = HeldSender(SpansRefusedError("status 400"))
    exporter = SpanExporter(sender, SpanMetrics.on(registry), max_spans=5)
    exporter.add(span())
    sender.let_go.set()
    exporter._send_waiting()
    assert (sender.attempts, counted(registry)["failed"]) == (1, 1)


def test_a_span_is_sent_as_otlp_has_it() -> None:
    sent = request_of([span(7)], {"service.name": "q"}).SerializeToString()
    [of_resource] = ExportTraceServiceRequest.FromString(sent).resource_spans
    [one] = of_resource.scope_spans[0].spans
    assert of_resource.resource.attributes[0].value.string_value == "q"
    assert (one.name, one.kind) == ("run", 3)
    assert (one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex()) == (
        "ab" * 16,
        f"{7:016x}",
        "cd" * 8,
    )
    assert (one.start_time_unix_nano, one.end_time_unix_nano) == (1_000, 2_000)
    values = {pair.key: pair.value for pair in one.attributes}
    assert values["text"].string_value == "ü"
    assert (values["count"].int_value, values["is"].bool_value) == (3, True)
    assert values["share"].double_value == 0.5
    assert (one.status.code, one.status.message) == (2, "query_failed")


def traced_home(folder: Path, **more: str) -> dict[str, str]:
    (folder / "queryrun.toml").write_text("")
    names = {f"QUERYRUN_TRACING__{name.upper()}": value for name, value in more.items()}
    return {"QUERYRUN_TRACING__ENDPOINT": "http://127.0.0.1:4318", **names}


def test_without_the_extra_a_node_that_asks_for_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queryrun.extras._is_installed", lambda name: name != "protobuf")
    settings = load(tmp_path, traced_home(tmp_path))
    with pytest.raises(ConfigurationError, match=r"tracing.endpoint is set.*pip install 'protobuf"):
        make_tracing(settings, "node", CollectorRegistry())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"endpoint": "collector:4318"}, "http://host:port"),
        ({"headers_file": "missing"}, "headers_file cannot be read"),
        (
            {"protocol": "grpc", "endpoint": "https://127.0.0.1:4317", "ca_file": "missing"},
            "ca_file cannot be read",
        ),
    ],
)
def test_a_collector_that_cannot_be_reached_so_is_refused(
    tmp_path: Path, more: dict[str, str], words: str
) -> None:
    settings = load(tmp_path, traced_home(tmp_path, **more))
    with pytest.raises(ConfigurationError, match=words):
        make_tracing(settings, "node", CollectorRegistry())


def test_headers_of_the_file_are_sent(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer a:b\n\nx-team: data\n")
    assert tracing._headers(tmp_path / "headers") == {
        "Authorization": "Bearer a:b",
        "x-team": "data",
    }
