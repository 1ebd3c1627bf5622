"""Sources with remote engines: runs wait while the engine is down, and a cancel on any node stops
the work in the engine itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import httpx2 as httpx
import pytest

from queryrun.engines.trino.remote import TrinoRemote
from tests.cluster.namespace import HERE, Bridge, tcp
from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server
from tests.ports import free_port
from tests.retrying_remote import RetryingRemote
from tests.trino_server import TrinoServer
from tests.trino_server import trino_server as trino_server  # a fixture

API = "api"
WORKER = "worker"
ENDLESS = (
    "SELECT count(*) AS n FROM UNNEST(sequence(1, 10000)) AS a(i)"
    " CROSS JOIN UNNEST(sequence(1, 10000)) AS b(j) CROSS JOIN UNNEST(sequence(1, 10000)) AS c(k)"
    " WHERE i + j * k = -1"
)


def warehouse(port: int) -> dict[str, str]:
    """A second source, on a Trino at that port."""
    prefix = "QUERYRUN_SOURCES__WAREHOUSE__"
    settings = {
        "ENGINE": "trino",
        "DIALECT": "trino",
        "URL": f"http://127.0.0.1:{port}",
        "CATALOG": "memory",
        "SCHEMA": "default",
    }
    return {f"{prefix}{name}": value for name, value in settings.items()}


def until(holds: Callable[[], bool], what: str, timeout_s: float = 100) -> None:
    """Poll: neither readiness nor an engine's query list notifies of changes. The limit is far
    from what it needs, also where Trino shares two processors with other tests."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)


def test_runs_on_a_source_that_is_down_wait_and_report_it_and_start_when_it_is_back(
    cluster: Cluster, trino_server: TrinoServer
) -> None:
    """Other sources are not affected, and the waiting run loses no retry."""
    port = free_port()
    settings = warehouse(port)
    front = cluster.start(API, settings)
    cluster.start(WORKER, settings)
    until(lambda: is_down(front), "the source to be down")
    ready = front.http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    run_id = front.submit("SELECT 42 AS answer", source="warehouse")["id"]
    canceled = front.submit("SELECT 1", source="warehouse")["id"]
    assert front.finished(front.submit("SELECT 2")["id"])["state"] == "complete"
    for waiting in (run_id, canceled):
        run = front.get(waiting, "state,waiting_for,remaining_attempts")
        assert run == {"state": "accepted", "waiting_for": "source", "remaining_attempts": 3}
    assert front.cancel(canceled).json()["state"] == "canceled"
    bridge = Bridge(HERE, HERE, tcp(port_of(trino_server)), port)
    run = front.finished(run_id)
    bridge.close()
    assert (run["state"], run["remaining_attempts"]) == ("complete", 3)
    assert front.file_text(run) == "answer\n42\n"


def is_down(node: Server) -> bool:
    """Whether the node reports the warehouse as down."""
    checks = node.http.get("/readyz").json()["checks"]
    return bool(checks["source warehouse"] != "ok")


def port_of(server: TrinoServer) -> int:
    """The port that it listens on."""
    return int(server.url.rpartition(":")[2])


def queries_of(server: TrinoServer, run_id: str) -> list[str]:
    """The states of the run's unfinished queries, from Trino itself."""
    response = server.query(
        "SELECT state FROM system.runtime.queries WHERE source LIKE"
        f" 'queryrun-{run_id}-%' AND state NOT IN ('FINISHED', 'FAILED')"
    )
    return [str(row[0]) for row in response.rows]


def test_a_query_that_uses_more_cpu_of_trino_than_it_may_is_stopped_and_charged(
    cluster: Cluster, trino_server: TrinoServer
) -> None:
    with (cluster.made.home / "queryrun.toml").open("a") as settings:
        settings.write("\n[limits.source.warehouse]\ncpu_s = 1\n")
    front = cluster.start(environ=warehouse(port_of(trino_server)))
    run = front.finished(front.submit(ENDLESS, source="warehouse")["id"])
    assert (run["state"], run["error"]["code"]) == ("failed", "quota_exceeded")
    assert "limit 'cpu_s' of this source: 1 s" in run["error"]["message"]
    record = front.get(run["id"], "cancellation,usage")
    assert record["cancellation"]["reason"] == "limit"
    assert record["cancellation"]["engine_stop"] == "remote_confirmed"
    assert record["usage"]["cpu_ms"] > 1000
    assert queries_of(trino_server, run["id"]) == []


def test_the_query_of_a_killed_node_is_stopped_by_name_and_that_of_the_next_by_a_cancel(
    cluster: Cluster, trino_server: TrinoServer
) -> None:
    """The cancel is requested from a node that has started neither."""
    settings = warehouse(port_of(trino_server))
    front = cluster.start(API, settings)
    killed = cluster.start(WORKER, settings)
    run_id = front.submit(ENDLESS, source="warehouse")["id"]
    until(lambda: bool(queries_of(trino_server, run_id)), "the query on Trino")
    killed.kill()
    cluster.start(WORKER, settings)
    until(lambda: front.get(run_id)["remaining_attempts"] == 2, "the second attempt")
    until(lambda: len(queries_of(trino_server, run_id)) == 1, "one query, and only one")
    assert front.cancel(run_id, prefer="wait=20").is_success
    assert front.finished(run_id)["state"] == "canceled"
    assert queries_of(trino_server, run_id) == []
    record = front.get(run_id, "cancellation")["cancellation"]
    assert record["engine_stop"] == "remote_confirmed"


def test_orphaned_work_is_stopped_and_that_of_other_services_is_not(
    cluster: Cluster, trino_server: TrinoServer
) -> None:
    """A query named after a finished run is an orphan. One named after an unknown run belongs
    to another service on the same Trino."""
    unknown = str(uuid4())
    start_query(trino_server, f"queryrun-{unknown}-1")
    node = cluster.start(environ=warehouse(port_of(trino_server)))
    finished = node.finished(node.submit("SELECT 1")["id"])["id"]
    start_query(trino_server, f"queryrun-{finished}-1")
    until(lambda: not queries_of(trino_server, finished), "the orphan to be stopped")
    assert queries_of(trino_server, unknown)
    RetryingRemote(TrinoRemote()).stop(trino_server.endpoint(), f"queryrun-{unknown}-1")


def start_query(server: TrinoServer, name: str) -> None:
    """Start an endless query with this name."""
    headers = {"x-trino-user": "queryrun", "x-trino-source": name}
    response = httpx.post(f"{server.url}/v1/statement", content=ENDLESS, headers=headers)
    while response.json()["stats"]["state"] == "QUEUED":
        response = httpx.get(response.json()["nextUri"])


@pytest.fixture(autouse=True)
def _timeout(request: pytest.FixtureRequest) -> None:
    """Trino takes half a minute to start, once per test run."""
    request.node.add_marker(pytest.mark.timeout(300))
