"""Metrics of what a node is: its version, its limits, its processes, its disks."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge

from queryrun import __version__


def register_gauges(
    registry: CollectorRegistry,
    slots: int,
    processes: Callable[[], int],
    free_bytes: Mapping[str, Callable[[], int]],
) -> None:
    """Add the gauges. `free_bytes`: of each directory, as its last probe found it."""
    build = Gauge(
        "queryrun_build_info",
        "1, with the version of the program in the labels",
        ["version", "python"],
        registry=registry,
    )
    build.labels(__version__, platform.python_version()).set(1)
    Gauge("queryrun_slots", "Attempts that this node may hold at once", registry=registry).set(
        slots
    )
    count = Gauge("queryrun_workers", "Worker processes, in any state", registry=registry)
    count.set_function(processes)
    disk = Gauge(
        "queryrun_disk_free_bytes",
        "Free space on the disk of this directory: alert before it is 0",
        ["directory"],
        registry=registry,
    )
    for name, free in free_bytes.items():
        disk.labels(name).set_function(free)
