"""Ten million rows through a run, against the same `COPY` run directly in DuckDB, in turn."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks import table
from benchmarks.served import Served, served

ROWS = 10_000_000
ROUNDS = 3
SQL = f"""
SELECT i AS id, 'A' || lpad((i % 100000)::VARCHAR, 8, '0') AS accountnumber,
  (i * 7919 % 1000000) / 100.0 AS balance, (i % 1000)::DECIMAL(18, 6) AS amount,
  DATE '2020-01-01' + (i % 1000)::INT AS day, i % 2 = 0 AS deleted, hash(i) % 100000 AS h
FROM range({ROWS}) t(i)"""


def measure() -> None:
    """Print the table of export times."""
    with served() as server:
        rows = [_format(server, content_type) for content_type in ("csv", "json")]
    head = ["format", "run s", "bare COPY s", "ratio", "file MB"]
    table.show(f"Export of {ROWS:,} rows x 7 columns, medians of {ROUNDS}, in turn", head, rows)


def _format(server: Served, content_type: str) -> list[str]:
    runs, bare, size_bytes = [], [], 0
    for _ in range(ROUNDS):
        bare.append(_bare_copy(content_type, server.home))
        began = time.monotonic()
        run = server.submit_and_wait(SQL, content_type)
        runs.append(time.monotonic() - began)
        assert run["number_of_rows"] == ROWS, run
        size_bytes = _remove_results(server.home)
    ratio = statistics.median(run / copy for run, copy in zip(runs, bare, strict=True))
    medians = [f"{statistics.median(values):.2f}" for values in (runs, bare)]
    return [content_type, *medians, f"{ratio:.2f}", f"{size_bytes / 1e6:.0f}"]


def _bare_copy(content_type: str, home: Path) -> float:
    """DuckDB alone, same settings, same disk."""
    with tempfile.TemporaryDirectory(dir=home) as directory, duckdb.connect() as connection:
        connection.execute("SET threads = 2; SET memory_limit = '2GB'")
        began = time.monotonic()
        target = Path(directory) / "bare"
        connection.execute(f"COPY ({SQL}) TO '{target}' (FORMAT {content_type})")
        return time.monotonic() - began


def _remove_results(home: Path) -> int:
    """Remove the files between rounds; returns their size."""
    total = 0
    for path in (home / "results").rglob("*"):
        if path.is_file():
            total += path.stat().st_size
            path.unlink()
    return total
