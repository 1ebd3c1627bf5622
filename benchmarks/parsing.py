"""Time against length for the statements that cost a parser most: the guard's whole check."""

from __future__ import annotations

import time

from benchmarks import table
from benchmarks.shapes import SHAPES
from queryrun.sql.guard.duckdb import check_statement

LENGTHS = (12_500, 25_000, 50_000, 100_000)
ROUNDS = 3


def measure() -> None:
    """Print a table for each dialect that the guard parses."""
    for guard, language in (("trino", "Trino's SQL"), ("duckdb", "DuckDB's SQL")):
        rows = sorted((_row(name, guard) for name in SHAPES), key=lambda row: -float(row[-2]))
        head = ["shape", *(f"{n:,}" for n in LENGTHS), "growth, 8 × the length"]
        title = f"{language}: ms of CPU for the guard's check by characters, best of {ROUNDS}"
        table.show(title, head, rows)


def _row(name: str, guard: str) -> list[str]:
    times_ms = [_best_ms(SHAPES[name](length), guard) for length in LENGTHS]
    growth = times_ms[-1] / max(times_ms[0], 0.05)
    return [name, *(f"{ms:.1f}" for ms in times_ms), f"{growth:.1f}"]


def _best_ms(statement: str, guard: str) -> float:
    durations = []
    for _ in range(ROUNDS):
        began = time.process_time()
        check_statement(statement, guard)
        durations.append((time.process_time() - began) * 1000)
    return min(durations)
