"""Metrics of the core: outcomes of runs, duration of stops, number of unconfirmed stops."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STOP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)
_ATTEMPT_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


class RunMetrics:
    """The core's metrics, in a separate registry. Labels are few and bounded."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.attempts = Counter(
            "queryrun_attempts",
            "Attempts finished on this node, by source and outcome",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.stop_duration_s = Histogram(
            "queryrun_stop_seconds",
            "Time from the stop request until the engine's stop is confirmed",
            ["reason", "engine_stop"],
            buckets=_STOP_BUCKETS,
            registry=self.registry,
        )
        self.attempt_duration_s = Histogram(
            "queryrun_attempt_seconds",
            "Time from the claim of an attempt to its outcome",
            ["source"],
            buckets=_ATTEMPT_BUCKETS,
            registry=self.registry,
        )
        self.requeues = Counter(
            "queryrun_requeues",
            "Attempts after which their run was queued again, by cause, and whether that cost a "
            "retry",
            ["code", "charged"],
            registry=self.registry,
        )
        self.wait_s = Histogram(
            "queryrun_wait_seconds",
            "Time that a run was ready and waited for its attempt to start",
            ["source"],
            buckets=_WAIT_BUCKETS,
            registry=self.registry,
        )
        self.stops_unconfirmed = Gauge(
            "queryrun_stops_unconfirmed",
            "Attempts that have to stop and whose engine's stop is not confirmed: alert on > 0",
            registry=self.registry,
        )
        self.busy_slots = Gauge(
            "queryrun_busy_slots", "Attempts that this node holds", registry=self.registry
        )
        self.clock_skew_s = Gauge(
            "queryrun_clock_skew_seconds",
            "How far this node's clock is ahead of the database's: alert beyond a second",
            registry=self.registry,
        )
        self.retention_stopped = Gauge(
            "queryrun_retention_stopped",
            "1 while retention refuses to remove nearly all finished runs: alert on > 0",
            registry=self.registry,
        )
        self.reaped = Counter(
            "queryrun_reaped",
            "Attempts with an expired lease, and runs past their retention, handled by this node",
            ["kind"],
            registry=self.registry,
        )
