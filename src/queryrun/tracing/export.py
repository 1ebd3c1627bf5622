"""Keeps spans until they are sent, in a thread of its own: nobody waits for a collector.

Bounded: at most `max_spans` wait, and those beyond are dropped and counted. A collector that is
away costs the spans of that time, and nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter

from queryrun.tracing.span import Span, SpanSender, SpansRefusedError

log = structlog.get_logger()

BATCH = 512
"""Spans of one request to the collector."""
INTERVAL_S = 1.0
"""How long a span waits for others to be sent with."""
RETRY_PAUSES_S = (0.5, 1.0, 2.0)
"""Between attempts to send a batch; after the last one it is dropped."""
CLOSE_TIMEOUT_S = 2.0
"""How long a node that ends waits for its last spans to be sent."""


@dataclass(frozen=True, slots=True)
class SpanMetrics:
    """How many spans there were, by what became of them."""

    spans: Counter

    @classmethod
    def on(cls, registry: CollectorRegistry) -> SpanMetrics:
        """Registered."""
        spans = Counter(
            "queryrun_spans",
            "Spans of traces, by outcome: exported, dropped (too many waited), failed (the "
            "collector was away or refused them)",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("exported", "dropped", "failed"):
            spans.labels(outcome)
        return cls(spans)


class SpanExporter:
    """A `SpanSink` that sends what it is given. `start` it, and `close` it at the end."""

    def __init__(self, sender: SpanSender, metrics: SpanMetrics, max_spans: int) -> None:
        self._sender = sender
        self._max_spans = max_spans
        self._waiting: deque[Span] = deque()
        self._closing = threading.Event()
        self._exported = metrics.spans.labels("exported")
        self._dropped = metrics.spans.labels("dropped")
        self._failed = metrics.spans.labels("failed")
        self._is_failing = False
        self._thread = threading.Thread(target=self._send_forever, name="tracing", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def add(self, span: Span) -> None:
        """See `SpanSink.add`."""
        if len(self._waiting) < self._max_spans:
            self._waiting.append(span)
        else:
            self._dropped.inc()

    def close(self) -> None:
        """Send what is left, for `CLOSE_TIMEOUT_S` at most. Idempotent."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)

    def _send_forever(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            self._send_waiting()
        self._send_waiting()
        self._sender.close()

    def _send_waiting(self) -> None:
        """Until less than a batch is left; one attempt for each when the node ends."""
        while self._waiting:
            count = min(BATCH, len(self._waiting))
            self._send([self._waiting.popleft() for _ in range(count)])

    def _send(self, batch: list[Span]) -> None:
        reason = ""
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                self._sender.send(batch)
            except SpansRefusedError as error:
                reason = str(error)
                break
            except Exception as error:  # a collector must never cost more than its spans
                reason = f"{type(error).__name__}: {error}"
                if pause_s is None or self._closing.wait(pause_s):
                    break
            else:
                self._exported.inc(len(batch))
                self._note(None)
                return
        self._failed.inc(len(batch))
        self._note(reason)

    def _note(self, reason: str | None) -> None:
        """Log each change once."""
        if reason is not None and not self._is_failing:
            log.warning("spans_not_exported", reason=reason[:500])
        elif reason is None and self._is_failing:
            log.info("spans_exported_again")
        self._is_failing = reason is not None
