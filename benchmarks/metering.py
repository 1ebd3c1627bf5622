"""What metering costs a submit: its transaction on SQLite with the writes of metering and without
them, in turn, in one process.

CPU microseconds, the lowest of many short rounds: what else the machine does only adds. The bar is
two hundredths of what a whole submit takes (`python -m benchmarks.versus`).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from benchmarks import table
from queryrun.db.sqlite.database import open_sqlite
from queryrun.results.formats import ContentType
from queryrun.runs.model import Output, RunRequest
from queryrun.runs.store import RunStore

ROUNDS = 300
AT_ONCE = 16
METERED = "queryrun.db.sqlite.runs.add_usage"
"""What a submit writes for metering: the bytes of its statement, added up once in a transaction."""
REQUEST = RunRequest("t", "e", "c", "live", "SELECT 1", Output(ContentType.CSV))


def measure() -> None:
    """Print CPU per accepted run, with and without, and the difference."""
    with_us, without_us = asyncio.run(_measured())
    figures = [with_us, without_us, with_us - without_us]
    head = ["with metering, µs", "without, µs", "difference, µs"]
    title = f"CPU to accept a run on SQLite, lowest of {ROUNDS} rounds (bar: 2 % of a submit)"
    table.show(title, head, [[f"{figure:.1f}" for figure in figures]])


async def _measured() -> tuple[float, float]:
    metered: list[float] = []
    unmetered: list[float] = []
    with tempfile.TemporaryDirectory(prefix="queryrun-bench-") as directory:
        database = open_sqlite(Path(directory) / "queryrun.db", lambda: datetime.now(UTC))
        try:
            for _ in range(ROUNDS):
                metered.append(await _round_us(database.runs))
                with patch(METERED, _nothing):
                    unmetered.append(await _round_us(database.runs))
        finally:
            database.close()
    return min(metered), min(unmetered)


def _nothing(*_given: Any, **_sizes: Any) -> None:
    """Meters nothing."""


async def _round_us(store: RunStore) -> float:
    began = time.process_time_ns()
    await asyncio.gather(*(store.accept(REQUEST, run_id=str(uuid4())) for _ in range(AT_ONCE)))
    return (time.process_time_ns() - began) / 1000 / AT_ONCE
