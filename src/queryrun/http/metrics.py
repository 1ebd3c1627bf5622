"""Prometheus metrics of the HTTP layer, in a separate registry (not the library's global one)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from queryrun.runs.state import RunState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNFINISHED_AGES_S = (0, 60, 600, 3600, 21600, 86400)
DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)

LISTED_ENTITIES = 20
"""Entities whose queue is a metric: labels have to be few."""


class HttpMetrics:
    """Counts requests by route, method and status. Other parts may register more in `registry`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._requests = Counter(
            "queryrun_http_requests",
            "Requests responded to.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "queryrun_http_request_seconds",
            "Seconds from the request to the beginning of its response.",
            ("route", "method"),
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._runs = Gauge(
            "queryrun_runs",
            "Runs that are not terminal.",
            ("source", "state"),
            registry=self.registry,
        )
        self._waiting = Gauge(
            "queryrun_entity_runs_waiting",
            f"Runs that wait, of the {LISTED_ENTITIES} entities with most of them on a source",
            ("source", "entity_id"),
            registry=self.registry,
        )
        self._unfinished = Gauge(
            "queryrun_runs_unfinished",
            "Runs that were started this long ago or longer, on any node, and have no terminal "
            "state: alert on those that are older than your longest time limit",
            ("seconds",),
            registry=self.registry,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def observe(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count one response. Routes and methods are from our table, so the labels are bounded."""
        counter = self._counters.get((route, method, status))
        if counter is None:
            counter = self._requests.labels(route, method, str(status))
            self._counters[route, method, status] = counter
        counter.inc()
        timer = self._timers.get((route, method))
        if timer is None:
            timer = self._timers[route, method] = self._durations.labels(route, method)
        timer.observe(duration_s)

    def render(
        self,
        runs: Mapping[tuple[str, RunState], int],
        unfinished_ages_s: Sequence[float] = (),
        longest_queues: Mapping[tuple[str, str], int] | None = None,
    ) -> bytes:
        """The registry in Prometheus' text format, with the numbers of runs, the ages of those
        that are started, and the longest queues as given."""
        self._waiting.clear()
        for key, count in (longest_queues or {}).items():
            self._waiting.labels(*key).set(count)
        for age_s in UNFINISHED_AGES_S:
            count = sum(one >= age_s for one in unfinished_ages_s)
            self._unfinished.labels(str(age_s)).set(count)
        self._runs.clear()
        for (source, state), count in runs.items():
            self._runs.labels(source, state.value).set(count)
        return generate_latest(self.registry)
