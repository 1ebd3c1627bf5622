"""By how much a running statement passes a limit before it has stopped, on real engines.

DuckDB always; Trino and Spark where `TRINO_TEST_SERVER` and `SPARK_TEST_SERVER` name a running one,
as for the tests. Figures are those of the ledger: what was used when the statement had stopped, as
it was last measured.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import table
from benchmarks.served import Served, served

TIMES = 5
MB = 1_000_000
NOTICED = "noticed"
"""The figure of what leaves nothing: what the run's error says that it had used."""
_ROWS = 40_000_000
_HAD_USED = re.compile(r"It had used (\d+)")
_ENDLESS = (
    "SELECT count(*) AS n FROM UNNEST(sequence(1, 10000)) AS a(i)"
    " CROSS JOIN UNNEST(sequence(1, 10000)) AS b(j) CROSS JOIN UNNEST(sequence(1, 10000)) AS c(k)"
    " WHERE i + j * k = -1"
)
_SPARK_ENDLESS = (
    "SELECT count(*) AS n FROM range(100000000) a CROSS JOIN range(100000000) b"
    " WHERE a.id * b.id = -1"
)
_LINES = "tpch.sf100.lineitem"


@dataclass(frozen=True)
class Case:
    """A limit, a statement that passes it, and the figure that says how far it got."""

    source: str
    limit: str
    value: int
    sql: str
    figure: str
    factor: float = 1
    """The figure's units in one of the limit."""


DUCKDB = (
    Case(
        "live", "cpu_s", 1, "SELECT sum(sin(i)) AS s FROM range(100000000000) t(i)", "cpu_ms", 1000
    ),
    Case(
        "live",
        "time_s",
        1,
        "SELECT sum(sin(i)) AS s FROM range(100000000000) t(i)",
        "wall_ms",
        1000,
    ),
    Case("live", "rows", 100_000, "SELECT i FROM range(100000000000) t(i)", NOTICED),
    Case("live", "result_bytes", MB, "SELECT i FROM range(100000000000) t(i)", NOTICED),
    Case(
        "live", "read_bytes", 50 * MB, "SELECT sum(r) AS s FROM numbers WHERE r > 0.5", "read_bytes"
    ),
    Case("live", "spill_bytes", 50 * MB, "SELECT * FROM numbers ORDER BY r", "spilled_bytes"),
)
TRINO = (
    Case("trino", "cpu_s", 1, _ENDLESS, "cpu_ms", 1000),
    Case("trino", "time_s", 1, _ENDLESS, "wall_ms", 1000),
    Case("trino", "rows", 100_000, f"SELECT l_orderkey FROM {_LINES}", NOTICED),
    Case("trino", "result_bytes", MB, f"SELECT l_orderkey FROM {_LINES}", NOTICED),
    Case("trino", "read_bytes", 50 * MB, f"SELECT sum(l_tax) AS s FROM {_LINES}", "read_bytes"),
)
SPARK = (
    Case("spark", "time_s", 1, _SPARK_ENDLESS, "wall_ms", 1000),
    Case("spark", "rows", 100_000, "SELECT id FROM range(100000000000)", NOTICED),
    Case("spark", "result_bytes", MB, "SELECT id FROM range(100000000000)", NOTICED),
)


def measure() -> None:
    """Print what each case has used beyond its limit."""
    environ = {"QUERYRUN_SOURCES__LIVE__MEMORY": "200MB"}
    cases = [*DUCKDB]
    if named := os.environ.get("TRINO_TEST_SERVER"):
        url = named.split()[0]
        environ |= _source("trino", {"URL": url, "CATALOG": "memory", "SCHEMA": "default"})
        cases += TRINO
    if named := os.environ.get("SPARK_TEST_SERVER"):
        url, ui_url = named.split()
        environ |= _source("spark", {"URL": url, "UI_URL": ui_url, "DIALECT": "native"})
        cases += SPARK
    with served(environ) as server, _administering(server) as set_limit:
        _write_numbers(server.home / "data" / "main")
        rows = [_row(server, set_limit, case) for case in cases]
    head = ["source", "limit", "value", "used", "beyond it", "stopped by"]
    table.show(f"Beyond a limit when the statement had stopped ({TIMES} runs each)", head, rows)


def _source(engine: str, settings: dict[str, str]) -> dict[str, str]:
    given = {"ENGINE": engine, "DIALECT": "trino", "NAME_SCOPE": "all", **settings}
    return {f"QUERYRUN_SOURCES__{engine.upper()}__{name}": value for name, value in given.items()}


def _write_numbers(data: Path) -> None:
    with duckdb.connect() as writer:
        writer.execute(f"""COPY (SELECT random() AS r, i FROM range({_ROWS}) t(i))
            TO '{data / "numbers.parquet"}' (FORMAT parquet)""")


@contextmanager
def _administering(server: Served) -> Iterator[Any]:
    """Sets the limits of the caller's client, as another client that may."""
    made = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "queryrun.cli",
                "clients",
                "create",
                "--home",
                str(server.home),
            ),
            *("--entity", "main", "--name", "operator", "--scope", "admin:write", "--json"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    client = json.loads(made.stdout)
    form = {
        "grant_type": "client_credentials",
        "client_id": client.get("client_id") or client["id"],
        "client_secret": client.get("client_secret") or client["secret"],
    }
    token = server.http.post("/oauth/token", data=form).json()["access_token"]

    def set_limit(name: str, value: int | None) -> None:
        body = {"level": "client", "subject": server.client_id, "name": name, "value": value}
        headers = {"authorization": f"Bearer {token}"}
        response = server.http.post("/admin/v1/limits", json=body, headers=headers)
        response.raise_for_status()

    yield set_limit


def _row(server: Served, set_limit: Any, case: Case) -> list[str]:
    set_limit(case.limit, case.value)
    used, stops = [], set()
    for _ in range(TIMES):
        run = server.submit_and_wait(case.sql, source=case.source)
        found = server.read(run["id"], "error,usage,cancellation")
        assert found["error"]["code"] == "quota_exceeded", found
        assert f"'{case.limit}'" in found["error"]["message"], found
        used.append(_used(found, case))
        stops.add(found["cancellation"]["engine_stop"])
    set_limit(case.limit, None)
    beyond = [max(0.0, one - case.value) for one in used]
    ranges = [f"{min(values):,.4g} to {max(values):,.4g}" for values in (used, beyond)]
    return [case.source, case.limit, f"{case.value:,}", *ranges, ", ".join(sorted(stops))]


def _used(run: dict[str, Any], case: Case) -> float:
    if case.figure != NOTICED:
        return float(run["usage"][case.figure] / case.factor)
    reported = _HAD_USED.search(run["error"]["message"])
    assert reported is not None, run
    return float(reported[1])
