"""The range of every setting that is a number. One that has none of its own has that of its kind.

A number that is not checked here would be found out by whatever uses it: as a traceback at start, a
node that serves and runs nothing, or a loop without a pause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from queryrun.errors import ConfigurationError

YEARS_S = 10 * 365 * 86_400
"""The longest duration: beyond it clocks and calendars overflow."""
MAX_DAYS = 36_500
MAX_COUNT = 10**15
"""Of rows, bytes and whatever else is counted: far from where 64 bits end."""
MAX_SIZE_BYTES = 2**60
MIN_MEMORY_BYTES = 16 * 2**20
"""With less the embedded engine opens nothing."""


@dataclass(frozen=True, slots=True)
class Range:
    """Both bounds are allowed."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:.0f}"


_PAUSE_S = Range(0.01, YEARS_S)
"""What a loop waits: without a pause it would take a processor for itself."""
RANGES = {
    "server.port": Range(0, 65535),
    "server.header_timeout_s": _PAUSE_S,
    "server.idle_timeout_s": _PAUSE_S,
    "server.request_timeout_s": _PAUSE_S,
    "server.max_connections": Range(1, 1_000_000),
    "server.max_connections_per_address": Range(1, 1_000_000),
    "server.max_body_bytes": Range(1, 2**40),
    "database.connections": Range(6, 10_000),  # one for each purpose of a node
    "sources.threads": Range(1, 1024),
    "sources.time_limit_s": _PAUSE_S,
    "sources.max_retries": Range(0, 20),
    "workers.slots": Range(0, 1000),
    "workers.fair_slots": Range(0, 1000),
    "workers.warm": Range(0, 1000),
    "results.retention_max_share": Range(0, 1),
    "leases.lease_s": _PAUSE_S,
    "leases.heartbeat_s": _PAUSE_S,
    "leases.poll_s": _PAUSE_S,
    "leases.reap_interval_s": _PAUSE_S,
    "retries.factor": Range(1, 1000),
    "oidc.clock_skew_s": Range(0, 300),  # with more, expired tokens would count for long
    "webhooks.max_attempts": Range(1, 10_000),
    "webhooks.per_receiver": Range(1, 10_000),
    "webhooks.retry_days": Range(0.0001, MAX_DAYS),
    "webhooks.retention_days": Range(0.0001, MAX_DAYS),
    "tracing.sample": Range(0, 1),
    "tracing.max_spans": Range(1, 1_000_000),
    "tracing.timeout_s": _PAUSE_S,
}
"""By `section.name`; of a source without the source's own name."""


def check_ranges(settings: msgspec.Struct) -> None:
    """`ConfigurationError` begins with the name of the first setting that is out of range."""
    for path, kind, value in _numbers(settings, "", ""):
        allowed = RANGES.get(kind) or _range_of(kind)
        if not allowed.low <= value <= allowed.high:  # nor is nan
            raise ConfigurationError(f"{path} must be {allowed}")


def _numbers(struct: msgspec.Struct, path: str, kind: str) -> Iterator[tuple[str, str, float]]:
    """Every number below: where it is, what kind of setting, and its value."""
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        here, its_kind = f"{path}{name}", f"{kind}{name}"
        if isinstance(value, msgspec.Struct):
            yield from _numbers(value, f"{here}.", f"{its_kind}.")
        elif isinstance(value, dict):
            for key, one in value.items():
                if isinstance(one, msgspec.Struct):
                    yield from _numbers(one, f"{here}.{key}.", f"{its_kind}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield here, its_kind, value


def _range_of(kind: str) -> Range:
    if kind.endswith("_s"):
        return Range(0, YEARS_S)
    return Range(0, MAX_DAYS if kind.endswith("_days") else MAX_COUNT)
