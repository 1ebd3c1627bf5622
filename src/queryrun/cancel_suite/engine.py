"""The engine of the server under test: its statements, its time limits and its probe.

The suite submits SQL that never finishes, in the engine's own dialect. It queries a remote engine
directly what it runs: that verifies a cancel without the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from queryrun.cancel_suite.library_duckdb import DUCKDB
from queryrun.cancel_suite.library_spark import SPARK
from queryrun.cancel_suite.library_trino import TRINO
from queryrun.cancel_suite.probe import NoProbe, Probe, SparkProbe, TrinoProbe
from queryrun.cancel_suite.statements import EngineStatements


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a cancel's duration, in ms, and the share of the counts that fits into an hour."""

    p99_ms: float
    max_ms: float
    interruptible_p50_ms: float | None
    next_start_ms: float
    share: float


EMBEDDED = Bounds(250.0, 2_000.0, 30.0, 100.0, 1.0)
REMOTE = Bounds(2_000.0, 5_000.0, None, 1_000.0, 0.05)
"""Within 2 s while the engine responds (docs/cancel.md#bounded). A cancel takes ten times as
long as on the embedded engine, so a twentieth of the counts takes as long."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the classes need to know about an engine."""

    name: str = "duckdb"
    statements: EngineStatements = DUCKDB
    bounds: Bounds = EMBEDDED
    probe: Probe = field(default_factory=NoProbe)

    @property
    def is_remote(self) -> bool:
        """Whether processes other than the server's do the work."""
        return self.name != "duckdb"


def _duckdb(_url: str) -> Engine:
    return Engine()


def _trino(url: str) -> Engine:
    return Engine("trino", TRINO, REMOTE, TrinoProbe(url))


def _spark(ui_url: str) -> Engine:
    return Engine("spark", SPARK, REMOTE, SparkProbe(ui_url))


ENGINES: Mapping[str, Callable[[str], Engine]] = {
    "duckdb": _duckdb,
    "trino": _trino,
    "spark": _spark,
}
"""The engines that the suite supports, by the URL of the probe: Trino's own, or Spark's web UI.
The suite does not use the server's registry of engines, because it must not share its mistakes."""


def engine_of(name: str, url: str) -> Engine:
    """The engine of this name (a key of `ENGINES`), with its probe at `url`."""
    return ENGINES[name](url)
