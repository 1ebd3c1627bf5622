"""Several nodes over one PostgreSQL: cancels on another node, and kill -9 under load.

`KILLS=200` in the environment is the full count of the latter (15 minutes); `TRINO=<url>` adds
a source on that Trino to the load and looks for orphans in its list of queries. It also adds Trino
to the cancels (`cluster_cancels.py`), as `SPARK=…` does Spark.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server
from tests.postgres_server import running as running_postgres
from tests.s3_server import running as running_s3

from benchmarks import cluster_cancels, table

KILLS = int(os.environ.get("KILLS", "20"))
TRINO = os.environ.get("TRINO", "")
NODES = 3
LOAD = (
    "SELECT 1 AS a",
    "SELECT count(*) AS n FROM range(400000) t(i) WHERE md5(i::VARCHAR) LIKE '%abc%'",
    "SELECT i, 'row ' || i AS t FROM range(50000) t(i)",
)
LOAD_ON_TRINO = "SELECT count(*) AS n FROM UNNEST(sequence(1, 10000)) AS t(i) WHERE i % 7 = 3"
OUTSTANDING = 40
LEASE_S = 3.0
"""Short leases, so that what takes 15 s in production takes 3 s here."""


def measure() -> None:
    """Print both tables."""
    cancels()
    kills()


def cancels() -> None:
    """Print the durations of cancels on another node."""
    with cluster() as nodes:
        rows = [cluster_cancels.embedded(nodes)]
    for engine in cluster_cancels.remote_engines():
        with cluster() as nodes:
            rows.append(cluster_cancels.on(engine, nodes))
    cluster_cancels.show(rows)


def kills() -> None:
    """Print the results of the runs."""
    with cluster() as nodes:
        _kills(nodes)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """PostgreSQL that flushes to disk, an S3 server, and no nodes yet."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "s3").mkdir()
        durable = {"fsync": "on", "full_page_writes": "on", "max_connections": "150"}
        with running_postgres(**durable) as postgres, running_s3(root / "s3") as s3:
            made = Cluster.over(postgres, s3.new_bucket(), root)
            try:
                yield made
            finally:
                made.close()


# --- kills ----------------------------------------------------------------------------------


class Load:
    """Submits small runs without pause, with at most `OUTSTANDING` unfinished."""

    def __init__(self, front: Server, nodes: Cluster) -> None:
        self._front = front
        self._nodes = nodes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._submit)
        self.accepted: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _submit(self) -> None:
        chosen = random.Random(1)  # noqa: S311 - not for secrets
        while not self._stop.is_set():
            if self._waiting() >= OUTSTANDING:
                time.sleep(0.05)
                continue
            for _ in range(OUTSTANDING // 2):
                body: dict[str, Any] = {"sql": chosen.choice(LOAD), "content_type": "csv"}
                if TRINO and chosen.random() < 0.3:
                    body |= {"sql": LOAD_ON_TRINO, "source": "warehouse"}
                response = self._front.http.post("/v2/query_runs", json=body)
                assert response.status_code == 201, response.text
                self.accepted.append(response.json()["id"])

    def _waiting(self) -> int:
        finished = "('complete', 'failed', 'canceled')"
        return int(
            self._nodes.query(f"SELECT count(*) FROM runs WHERE state NOT IN {finished}")[0][0]
        )


def _kills(nodes: Cluster) -> None:
    front = nodes.start("api", _settings())
    workers = [nodes.start("worker", _settings()) for _ in range(NODES)]
    chosen = random.Random(7)  # noqa: S311
    began = time.monotonic()
    with Load(front, nodes) as load:
        for number in range(KILLS):
            victim = number % NODES
            time.sleep(chosen.uniform(0.1, 0.8))
            workers[victim].kill()
            workers[victim].close()
            nodes.nodes.remove(workers[victim])
            workers[victim] = nodes.start("worker", _settings())
    states = Counter(_finished(front, run_id) for run_id in load.accepted)
    duration_s = time.monotonic() - began
    row = [str(KILLS), f"{len(load.accepted):,}", _spread(nodes), *_verdicts(nodes, states)]
    head = ["kill -9", "runs", "attempts per run", "lost", "completed twice", "files too many"]
    table.show(
        f"Nodes killed under load, {duration_s:.0f} s (bars: 0 lost, 0 twice, 0 orphans)",
        [*head, "orphans"],
        [row],
    )


def _settings() -> dict[str, str]:
    limits = {
        "QUERYRUN_LEASES__LEASE_S": str(LEASE_S),
        "QUERYRUN_RETRIES__FIRST_S": "0.05",
        "QUERYRUN_RETRIES__MAX_S": "0.2",
    }
    if TRINO:
        prefix = "QUERYRUN_SOURCES__WAREHOUSE__"
        of_trino = {"ENGINE": "trino", "DIALECT": "trino", "URL": TRINO, "CATALOG": "memory"}
        of_trino |= {
            "SCHEMA": "default",
            "QUEUED_PER_TENANT": "0",
            "RUNNING_PER_TENANT": "0",
        }
        limits |= {f"{prefix}{name}": value for name, value in of_trino.items()}
    return limits


def _finished(front: Server, run_id: str) -> str:
    run = front.finished(run_id)
    if run["state"] != "failed":
        return str(run["state"])
    return f"failed {front.get(run_id, 'error')['error']['code']}"


def _spread(nodes: Cluster) -> str:
    rows = nodes.query(
        "SELECT n, count(*) FROM (SELECT count(*) AS n FROM attempts GROUP BY run_seq) c"
        " GROUP BY n ORDER BY n"
    )
    return ", ".join(f"{attempts}: {count:,}" for attempts, count in rows)


def _verdicts(nodes: Cluster, states: Counter[str]) -> list[str]:
    """Lost: neither complete nor failed with `node_lost` after four attempts."""
    twice = nodes.query(
        "SELECT count(*) FROM (SELECT run_seq FROM run_events WHERE state = 'complete'"
        " GROUP BY run_seq HAVING count(*) > 1) t"
    )[0][0]
    given_up = states.pop("failed node_lost", 0)
    complete = states.pop("complete", 0)
    too_many = len(nodes.files()) - complete
    lost = f"{sum(states.values())}" + (f" ({given_up} gave up: node_lost)" if given_up else "")
    return [lost, str(twice), str(too_many), str(_orphans())]


def _orphans() -> int | str:
    """Queries of ours that Trino still runs one lease after the last run has finished."""
    if not TRINO:
        return "-"
    time.sleep(LEASE_S)
    queries = httpx.get(f"{TRINO}/v1/query", headers={"x-trino-user": "benchmark"}).json()
    ours = [q for q in queries if str(q["session"].get("source", "")).startswith("queryrun-")]
    return sum(query["state"] not in {"FINISHED", "FAILED"} for query in ours)
