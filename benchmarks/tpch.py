"""The overhead of the service on TPC-H: a run to `complete` against DuckDB alone, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks import table
from benchmarks.served import Served, served

SCALE_FACTOR = "0.5"
ROUNDS = 5
QUERIES = {
    "Q1 pricing summary": """
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
  sum(l_extendedprice) AS sum_base_price, sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
  avg(l_quantity) AS avg_qty, avg(l_discount) AS avg_disc, count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-09-02'
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    "Q3 shipping priority": """
SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
FROM customer, orders, lineitem
WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
  AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10""",
    "Q6 revenue change": """
SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
  AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
    "Q18 large orders": """
SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) AS quantity
FROM customer, orders, lineitem
WHERE o_orderkey IN (
    SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300)
  AND c_custkey = o_custkey AND o_orderkey = l_orderkey
GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
ORDER BY o_totalprice DESC, o_orderdate LIMIT 100""",
    "lineitem, all of it": "SELECT * FROM lineitem",
}


def measure() -> None:
    """Print the table of TPC-H statements."""
    with served() as server:
        data = server.home / "data" / "main"
        _generate(data)
        rows = [_statement(server, data, name, sql) for name, sql in QUERIES.items()]
    head = ["statement", "rows", "run ms", "bare ms", "added ms", "ratio"]
    title = f"TPC-H at scale factor {SCALE_FACTOR} to CSV, medians of {ROUNDS}, in turn with a COPY"
    table.show(title, head, rows)


def _generate(directory: Path) -> None:
    generator = Path(sys.executable).parent / "tpchgen-cli"
    command = [str(generator), "parquet", "-s", SCALE_FACTOR, "--output-dir", str(directory)]
    subprocess.run(command, check=True, capture_output=True)


def _statement(server: Served, data: Path, name: str, sql: str) -> list[str]:
    server.submit_and_wait(sql)
    runs_ms, bare_ms, count = [], [], 0
    for _ in range(ROUNDS):
        bare_ms.append(_bare(data, sql) * 1000)
        began = time.monotonic()
        run = server.submit_and_wait(sql)
        runs_ms.append((time.monotonic() - began) * 1000)
        assert run["state"] == "complete", run
        count = run["number_of_rows"]
    pairs = list(zip(runs_ms, bare_ms, strict=True))
    added = statistics.median(run - bare for run, bare in pairs)
    ratio = statistics.median(run / bare for run, bare in pairs)
    medians = [f"{statistics.median(values):.0f}" for values in (runs_ms, bare_ms)]
    return [name, f"{count:,}", *medians, f"{added:.0f}", f"{ratio:.2f}"]


def _bare(data: Path, sql: str) -> float:
    """DuckDB alone over the same files, opened beforehand: seconds of the `COPY`."""
    with tempfile.TemporaryDirectory() as directory, duckdb.connect() as connection:
        connection.execute("SET threads = 2; SET memory_limit = '2GB'")
        for path in data.glob("*.parquet"):
            connection.execute(f"CREATE VIEW {path.stem} AS FROM read_parquet('{path}')")
        began = time.monotonic()
        connection.execute(f"COPY ({sql}) TO '{directory}/bare' (FORMAT csv)")
        return time.monotonic() - began
