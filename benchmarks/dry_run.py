"""What `POST /v2/query_runs?dry_run=true` costs on local Parquet, over HTTP.

One table of one file, and one of 64 files in partitions. The first statements of a source open the
process that plans it and are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from benchmarks import table
from benchmarks.served import Served, served
from benchmarks.versus import cpu_s

REQUESTS = 100
AT_ONCE = 4
BAR_MS = 50
FILES = 64
STATEMENTS = {
    "one file, all columns": "SELECT * FROM orders",
    "one file, a filter": "SELECT id, amount FROM orders WHERE amount > 900 AND id < 50000",
    "64 files, one partition": "SELECT count(*) AS n FROM events WHERE day = '07'",
    "64 files, all of them": "SELECT kind, sum(value) AS s FROM events GROUP BY kind",
    "a join of both": (
        "SELECT o.customer, count(*) AS n FROM orders o JOIN events e ON e.id = o.id "
        "WHERE e.day IN ('01', '02') GROUP BY o.customer ORDER BY n DESC LIMIT 10"
    ),
}


def measure() -> None:
    """Print the table of dry runs."""
    with served({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"}) as server:
        _write_tables(server.home / "data" / "main")
        rows = [_row(server, name, sql, 1) for name, sql in STATEMENTS.items()]
        rows.append(_row(server, "a join of both", STATEMENTS["a join of both"], AT_ONCE))
    head = ["statement", "at once", "count", "CPU ms each", "p50 ms", "p95 ms", "max ms"]
    table.show(f"Dry runs on local Parquet (bar: p95 {BAR_MS} ms, one at a time)", head, rows)


def _write_tables(data: Path) -> None:
    with duckdb.connect() as writer:
        writer.execute(f"""COPY (SELECT i AS id, 'customer ' || i % 1000 AS customer,
            i * 7919 % 1000000 / 1000.0 AS amount FROM range(200000) r(i)
        ) TO '{data / "orders.parquet"}' (FORMAT parquet)""")
        for number in range(FILES):
            folder = data / "events" / f"day={number % 16:02}"
            folder.mkdir(parents=True, exist_ok=True)
            writer.execute(f"""COPY (SELECT i AS id, 'kind ' || i % 7 AS kind, i * 1.5 AS value
                FROM range({number * 1000}, {number * 1000 + 1000}) r(i)
            ) TO '{folder / f"{number}.parquet"}' (FORMAT parquet)""")


def _row(server: Served, name: str, sql: str, at_once: int) -> list[str]:
    _request(server, sql, range(8))
    before_s = cpu_s(server.pid)
    each = REQUESTS // at_once
    with ThreadPoolExecutor(at_once) as callers:
        parts = list(callers.map(lambda _: _request(server, sql, range(each)), range(at_once)))
    ms = [one for part in parts for one in part]
    cpu_ms = (cpu_s(server.pid) - before_s) * 1000 / len(ms)
    figures = [cpu_ms, table.percentile(ms, 50), table.percentile(ms, 95), max(ms)]
    return [name, str(at_once), str(len(ms)), *(f"{figure:.1f}" for figure in figures)]


def _request(server: Served, sql: str, times: Iterable[int]) -> list[float]:
    """Milliseconds of each request."""
    taken_ms = []
    for _ in times:
        began = time.monotonic()
        found = server.http.post(
            "/v2/query_runs?dry_run=true", json={"sql": sql, "content_type": "csv"}
        ).json()
        taken_ms.append((time.monotonic() - began) * 1000)
        assert found["valid"], found
        assert found["rows_read"], found
    return taken_ms
