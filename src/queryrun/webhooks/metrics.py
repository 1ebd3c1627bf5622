"""Metrics of deliveries."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 5, 30, 300)


class WebhookMetrics:
    """Registered with the others of the node. Labels are few and bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "queryrun_webhook_attempts",
            "Attempts of this node to deliver, by kind of webhook and outcome: delivered, refused "
            "(another status than 2xx), failed (no response)",
            ["kind", "outcome"],
            registry=registry,
        )
        self.given_up = Counter(
            "queryrun_webhook_dead",
            "Deliveries that this node has given up: alert on an increase",
            ["kind"],
            registry=registry,
        )
        self.delay_s = Histogram(
            "queryrun_webhook_delay_seconds",
            "Time from an event to the first attempt to deliver it",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.pending = Gauge(
            "queryrun_webhook_pending",
            "Deliveries that wait, of all nodes, paused webhooks aside",
            registry=registry,
        )
        self.overdue_s = Gauge(
            "queryrun_webhook_overdue_seconds",
            "How long the delivery that has been due longest has been due: alert beyond a minute",
            registry=registry,
        )
