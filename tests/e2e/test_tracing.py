"""Traces of runs, in a real collector: over OTLP/HTTP and gRPC, across a killed server."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests import otel_collector
from tests.e2e.conftest import QUICK, RUNAWAY, Server, ServerHarness, wait_logged
from tests.otel_collector import Collector, ReceivedSpan

OF_A_RUN = {"POST /v2/query_runs", "run", "queue", "attempt", "worker", "SELECT", "upload"}
STEPS = {"interrupt_sent", "kill_sent", "reaped", "file_removed"}
SECRET_WORDS = "a_word_of_the_statement"


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with otel_collector.running(tmp_path_factory.mktemp("collector")) as running:
        yield running


def new_trace() -> tuple[str, str, str]:
    """A trace id, a span id, and the header that names both."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return trace_id, span_id, f"00-{trace_id}-{span_id}-01"


def traced(collector: Collector, protocol: str = "http/protobuf") -> dict[str, str]:
    endpoint = collector.grpc_url if protocol == "grpc" else collector.http_url
    return QUICK | {
        "QUERYRUN_TRACING__ENDPOINT": endpoint,
        "QUERYRUN_TRACING__PROTOCOL": protocol,
    }


def submit_traced(server: Server, sql: str, traceparent: str) -> str:
    """The id of the new run."""
    body = {"sql": sql, "content_type": "csv"}
    headers = {"traceparent": traceparent}
    response = server.http.post("/v2/query_runs", json=body, headers=headers)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def by_name(spans: list[ReceivedSpan]) -> dict[str, ReceivedSpan]:
    return {span.name: span for span in spans}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_run_is_one_trace_from_its_request_to_its_file(
    harness: ServerHarness, collector: Collector, protocol: str
) -> None:
    server = harness.serve(traced(collector, protocol))
    trace_id, caller, header = new_trace()
    sql = f"SELECT '{SECRET_WORDS}' AS x"
    run = server.finished(submit_traced(server, sql, header))
    found = by_name(collector.until(OF_A_RUN, trace_id))
    request, whole, attempt = found["POST /v2/query_runs"], found["run"], found["attempt"]
    assert request.parent_id == caller
    assert (request.kind, found["SELECT"].kind) == (2, 3)
    assert whole.parent_id == request.span_id
    assert {found["queue"].parent_id, attempt.parent_id} == {whole.span_id}
    parts = [found[name] for name in ("worker", "SELECT", "upload")]
    assert {part.parent_id for part in parts} == {attempt.span_id}
    assert all(attempt.start_ns <= part.start_ns <= part.end_ns <= attempt.end_ns for part in parts)
    assert parts[0].end_ns <= parts[1].start_ns <= parts[2].start_ns
    details = found["SELECT"].attributes
    assert details["db.system.name"] == "duckdb"
    assert details["db.operation.name"] == details["db.query.summary"] == "SELECT"
    assert details["queryrun.query.fingerprint"] == sha256(sql.encode()).hexdigest()
    assert whole.attributes["queryrun.run.id"] == run["id"]
    assert request.resource["service.name"] == "queryrun"
    assert SECRET_WORDS not in collector.path.read_text("utf-8")
    log = wait_logged(harness.log, trace_id, "attempt_finished", "request_completed")
    logged = [json.loads(line) for line in log.splitlines() if trace_id in line]
    assert {"request_completed", "attempt_finished"} <= {line["event"] for line in logged}


def test_every_step_of_a_stop_is_a_span(harness: ServerHarness, collector: Collector) -> None:
    server = harness.serve(traced(collector))
    trace_id, _, header = new_trace()
    run_id = submit_traced(server, RUNAWAY, header)
    server.computing_worker(run_id)
    assert server.cancel(run_id, prefer="wait=20").json()["state"] == "canceled"
    record = server.get(run_id, "cancellation")["cancellation"]
    steps = {one["step"]: one["after_ms"] for one in record["steps"]}
    assert set(steps) == STEPS
    found = by_name(collector.until({"stop", "run", *(f"stop {step}" for step in STEPS)}, trace_id))
    stop = found["stop"]
    assert stop.attributes["queryrun.stop.reason"] == "user"
    for step, after_ms in steps.items():
        span = found[f"stop {step}"]
        assert span.parent_id == stop.span_id
        assert abs((span.end_ns - stop.start_ns) / 1e6 - int(after_ms)) < 5
    assert found["run"].attributes["queryrun.run.state"] == "canceled"


def test_a_run_that_waits_when_its_server_is_killed_goes_on_in_its_trace(
    harness: ServerHarness, collector: Collector
) -> None:
    first = harness.serve(traced(collector))
    trace_id, _, header = new_trace()
    run_id = submit_traced(first, RUNAWAY, header)
    first.computing_worker(run_id)
    first.process.kill()
    first.process.wait()
    second = harness.serve(traced(collector))
    second.wait_until_claimed(run_id)
    assert second.cancel(run_id, prefer="wait=20").json()["state"] == "canceled"
    found = collector.until({"run", "attempt", "stop"}, trace_id)
    outcomes = {
        span.attributes["queryrun.attempt.number"]: span.attributes["queryrun.attempt.outcome"]
        for span in found
        if span.name == "attempt"
    }
    assert outcomes == {"1": "lost", "2": "canceled"}


def test_what_the_caller_does_not_record_is_not_recorded(
    harness: ServerHarness, collector: Collector
) -> None:
    server = harness.serve(traced(collector))
    unsampled, sampled = new_trace(), new_trace()
    server.finished(submit_traced(server, "SELECT 1", unsampled[2].removesuffix("01") + "00"))
    server.finished(submit_traced(server, "SELECT 1", sampled[2]))
    collector.until(OF_A_RUN, sampled[0])
    assert unsampled[0] not in collector.path.read_text("utf-8")


def test_a_collector_that_is_away_costs_nothing_but_its_spans(
    harness: ServerHarness, tmp_path: Path
) -> None:
    away = QUICK | {
        "QUERYRUN_TRACING__ENDPOINT": "http://127.0.0.1:9",
        "QUERYRUN_TRACING__MAX_SPANS": "20",
    }
    server = harness.serve(away)
    for _ in range(6):
        assert server.finished(server.submit("SELECT 1")["id"])["state"] == "complete"
    metrics = server.http.get("/metrics").text
    dropped = 'queryrun_spans_total{outcome="dropped"}'
    assert float(metrics.split(dropped)[1].split()[0]) > 0
