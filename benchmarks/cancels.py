"""How long a cancel takes, statement by statement, from the request to the response `canceled`."""

from __future__ import annotations

import time

from benchmarks import table
from benchmarks.served import Served, served

STATEMENTS = {
    "cross join count": "SELECT count(*) FROM range(10000000) a, range(10000000) b",
    "recursive CTE": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) "
    "SELECT count(*) FROM t",
    "big sort": "SELECT * FROM (SELECT hash(i) h FROM range(200000000) t(i)) ORDER BY h",
    "hash aggregate": "SELECT count(*) FROM (SELECT i % 50000000 k, count(*) "
    "FROM range(2000000000) t(i) GROUP BY k)",
    "long COPY": "SELECT i, i * 2, 'text ' || i FROM range(2000000000) t(i)",
    "huge strings": "SELECT sum(length(repeat('abc', 300000000 + i::int))) FROM range(100) t(i)",
    "levenshtein": "SELECT levenshtein(repeat('ab', 60000), repeat('ba', 60000))",
    "list_sum (ignores interrupt)": "SELECT list_sum(range(100000000))",
}
ROUNDS = 5
RUNNING_S = 0.7
"""How long a statement computes before it is cancelled."""


def measure() -> None:
    """Print the table of cancel latencies."""
    with served() as server:
        rows = [_statement(server, name, sql) for name, sql in STATEMENTS.items()]
    head = ["statement", "p50 ms", "max ms", "engine_stop"]
    table.show(f"Cancel to `canceled` (worker reaped), {ROUNDS} each", head, rows)


def _statement(server: Served, name: str, sql: str) -> list[str]:
    durations_ms, stops = [], set()
    for _ in range(ROUNDS):
        run = server.submit(sql)
        time.sleep(RUNNING_S)
        began = time.monotonic()
        response = server.cancel(run["id"])
        durations_ms.append((time.monotonic() - began) * 1000)
        assert response["state"] == "canceled", response
        stops.add(server.read(run["id"], "cancellation")["cancellation"]["engine_stop"])
    figures = [table.percentile(durations_ms, 50), max(durations_ms)]
    return [name, *(f"{value:.0f}" for value in figures), ", ".join(sorted(stops))]
