"""What the core counts: how runs end, how long stops take, what could not be proven."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STOP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_RUN_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


class RunMetrics:
    """The core's metrics, in a registry of their own. Labels are few and bounded."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.attempts = Counter(
            "queryrun_attempts",
            "Attempts ended on this node, by how they ended",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.stop_s = Histogram(
            "queryrun_stop_seconds",
            "From being told to stop until the engine was proven to have let go",
            ["reason", "engine_stop"],
            buckets=_STOP_BUCKETS,
            registry=self.registry,
        )
        self.attempt_s = Histogram(
            "queryrun_attempt_seconds",
            "From claim to the end of the attempt",
            ["source"],
            buckets=_RUN_BUCKETS,
            registry=self.registry,
        )
        self.stops_unconfirmed = Gauge(
            "queryrun_stops_unconfirmed",
            "Attempts told to stop whose engine has not been proven to have let go: alarm on > 0",
            registry=self.registry,
        )
        self.busy_slots = Gauge(
            "queryrun_busy_slots", "Attempts this node holds", registry=self.registry
        )
        self.reaped = Counter(
            "queryrun_reaped",
            "Lapsed attempts and expired runs handled by this node's reaper",
            ["kind"],
            registry=self.registry,
        )
