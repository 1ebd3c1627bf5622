"""The engine behind the server under test: its words, its bounds, and what can be seen of it.

The suite speaks SQL that does not end, so it must know whose SQL. An engine elsewhere is asked
itself, past the service, what it runs: that is the proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def engine_of(name: str, look_at: str) -> Engine:
    """An engine by its name; `look_at` is where it can be asked what it runs.

    Trino: its own URL. Spark: the URL of its web UI.
    """
    from queryrun.cancel_suite.eyes import SparkEyes, TrinoEyes

    if name == "trino":
        return Engine(name, TRINO, ELSEWHERE, TrinoEyes(look_at))
    if name == "spark":
        return Engine(name, SPARK, ELSEWHERE, SparkEyes(look_at))
    return Engine()
