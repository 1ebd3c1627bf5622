"""What a clock tells a client of orgs of rows that are hidden from it, over HTTP.

Its own 100,000 rows are mixed among hidden ones in one Parquet file. Each statement is timed as a
caller sees it, for a client of one org and for one that sees all rows, in turn. The table is in
SECURITY.md ("What a client restricted to orgs can still learn").
"""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import httpx2 as httpx

from benchmarks import table
from benchmarks.served import Served, served
from queryrun.cli import clients

OWN_ROWS = 100_000
ROUNDS = 7
CASES = {
    "none": (0, "'same'"),
    "1,000,000, their text all equal, 20 characters": (1_000_000, "repeat('x', 20)"),
    "1,000,000, their text all equal, 200 characters": (1_000_000, "repeat('x', 200)"),
    "1,000,000, their text all different": (1_000_000, "md5(CAST(i AS VARCHAR))"),
    "3,000,000, their text all equal": (3_000_000, "repeat('x', 20)"),
}
"""Hidden rows: how many, and their text as DuckDB's SQL of their number `i`."""


def measure() -> None:
    """Print the table of hidden rows against milliseconds."""
    environ = {
        "QUERYRUN_SOURCES__LIVE__DIALECT": "trino",
        "QUERYRUN_SOURCES__LIVE__ORG_COLUMN": "org",
    }
    with served(environ) as server, httpx.Client(base_url=server.url, timeout=120) as restricted:
        _write(server.home / "data" / "main")
        restricted.headers["authorization"] = f"Bearer {_token_of_org(server)}"
        rows = [_row(server, restricted, n, name) for n, name in enumerate(CASES)]
    head = ["hidden rows", "restricted client, p50 ms", "unrestricted client, p50 ms"]
    table.show(f"Hidden rows and the clock ({OWN_ROWS:,} rows of one's own)", head, rows)


def _write(data: Path) -> None:
    with duckdb.connect() as writer:
        for number, (hidden, text) in enumerate(CASES.values()):
            every = hidden // OWN_ROWS + 1
            writer.execute(f"""COPY (
                SELECT i AS id, CASE WHEN i % {every} = 0 THEN 'north' ELSE 'south' END AS org,
                    CASE WHEN i % {every} = 0 THEN 'own note' ELSE {text} END AS note
                FROM range({hidden + OWN_ROWS}) r(i)
            ) TO '{data / f"t{number}.parquet"}' (FORMAT parquet)""")


def _token_of_org(server: Served) -> str:
    issued = clients.create(server.home, clients.NewClient(["main"], orgs=["north"]))
    form = {
        "grant_type": "client_credentials",
        "client_id": issued.client.id,
        "client_secret": issued.secret,
    }
    token: str = server.http.post("/oauth/token", data=form).json()["access_token"]
    return token


def _row(server: Served, restricted: httpx.Client, number: int, name: str) -> list[str]:
    sql = f"SELECT count(*) AS n FROM t{number} WHERE length(note) > 3"
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS + 1):
        for is_restricted, http in ((True, restricted), (False, server.http)):
            times[is_restricted].append(_duration_ms(http, sql))
    medians = (table.percentile(times[side][1:], 50) for side in (True, False))
    return [name, *(f"{median:.0f}" for median in medians)]


def _duration_ms(http: httpx.Client, sql: str) -> float:
    began = time.monotonic()
    run = http.post(
        "/v2/query_runs", json={"sql": sql, "content_type": "csv"}, headers={"prefer": "wait=60"}
    ).json()
    assert run["state"] == "complete", run
    return (time.monotonic() - began) * 1000
