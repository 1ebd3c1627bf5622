"""The engine behind the server under test: its words, its bounds, and what can be seen of it.

The suite speaks SQL that does not end, so it must know whose SQL. An engine elsewhere is asked
itself, past the service, what it runs: that is the proof.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from queryrun.cancel_suite.library_duckdb import DUCKDB
from queryrun.cancel_suite.library_spark import SPARK
from queryrun.cancel_suite.library_trino import TRINO
from queryrun.cancel_suite.statements import Words


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a cancel may take, in ms, and the share of the counts that fits into an hour."""

    p99_ms: float
    max_ms: float
    heeding_p50_ms: float | None
    next_start_ms: float
    share: float


EMBEDDED = Bounds(250.0, 2_000.0, 30.0, 100.0, 1.0)
ELSEWHERE = Bounds(2_000.0, 5_000.0, None, 1_000.0, 0.05)
"""Within 2 s while the engine responds (docs/cancel.md#bounded). A cancel takes ten times as
long as on the embedded engine, so a twentieth of the counts takes as long."""


class Eyes(Protocol):
    """Looks into an engine elsewhere."""

    async def active(self) -> frozenset[str]:
        """The ids of runs that the engine computes for, or has queued, at this moment."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class NoEyes:
    """The embedded engine is the worker process: the process table tells (`processes.py`)."""

    async def active(self) -> frozenset[str]:
        """Nothing runs elsewhere."""
        return frozenset()

    def close(self) -> None:
        """Nothing to hang up."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the classes need to know of an engine."""

    name: str = "duckdb"
    words: Words = DUCKDB
    bounds: Bounds = EMBEDDED
    eyes: Eyes = field(default_factory=NoEyes)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the work is done by processes that are not the server's."""
        return self.name != "duckdb"


_NAME = re.compile(r"queryrun-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+")
"""What remote work is called (docs/cancel.md#on-several-nodes-and-remote-engines)."""


def run_ids(texts: Mapping[str, object] | list[str] | str) -> frozenset[str]:
    """The runs that are named anywhere in what an engine said."""
    return frozenset(_NAME.findall(str(texts)))


def _duckdb(_url: str) -> Engine:
    return Engine()


def _trino(url: str) -> Engine:
    from queryrun.cancel_suite.eyes import TrinoEyes

    return Engine("trino", TRINO, ELSEWHERE, TrinoEyes(url))


def _spark(ui_url: str) -> Engine:
    from queryrun.cancel_suite.eyes import SparkEyes

    return Engine("spark", SPARK, ELSEWHERE, SparkEyes(ui_url))


ENGINES: Mapping[str, Callable[[str], Engine]] = {
    "duckdb": _duckdb,
    "trino": _trino,
    "spark": _spark,
}
"""The engines that the suite can judge, opened with the URL where each says what it runs: for
Trino its own, for Spark its web UI's. The suite may not ask the server's registry of engines."""


def engine_of(name: str, url: str) -> Engine:
    """The engine of this name (a key of `ENGINES`), observed at `url`."""
    return ENGINES[name](url)
