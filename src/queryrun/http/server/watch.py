"""What an operator sees of the connections: metrics, and a word when a limit is near."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from queryrun.http.server import descriptors
from queryrun.http.server.connections import Connections

NEAR = 0.8
"""The part of a limit from which on it is near."""


class ConnectionWatch(Collector):
    """Reads the counts when they are asked for."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def checks(self) -> dict[str, str]:
        """The limits that are near, for `/readyz`. None of them keeps a node from serving."""
        used = {
            "limit connections": (len(self._connections), self._connections.max),
            "limit descriptors": (descriptors.open_count(), descriptors.limit()),
        }
        return {name: _state(count, limit) for name, (count, limit) in used.items()}

    def register(self, registry: CollectorRegistry) -> None:
        """Add the metrics to a registry."""
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """As Prometheus' library asks for them."""
        yield _gauge("http_connections", "Open connections.", len(self._connections))
        yield _gauge("http_connections_max", "Connections that may be open.", self._connections.max)
        yield _gauge("open_descriptors", "Open file descriptors.", descriptors.open_count())
        yield _gauge("max_descriptors", "Descriptors that may be open.", descriptors.limit())
        closed = CounterMetricFamily(
            "queryrun_http_connections_cut",
            "Connections that the server refused or ended before their peer did.",
            labels=("reason",),
        )
        for reason, count in sorted(self._connections.closed.items()):
            closed.add_metric((reason,), count)
        yield closed


def _gauge(name: str, text: str, value: int) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"queryrun_{name}", text, value=value)


def _state(count: int, limit: int) -> str:
    return f"near: {count} of {limit}" if count >= limit * NEAR else "ok"
