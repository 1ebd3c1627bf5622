"""Every node serves every run, and limits hold over all nodes together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import httpx2 as httpx
import pytest

from tests.cluster.nodes import Cluster
from tests.cluster.test_outages import wait_until
from tests.e2e.conftest import Server
from tests.e2e.test_progress import NO_ROW_LIMIT, events
from tests.faults.node_harness import ENDLESS_ROWS, RUNAWAY
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server

API = "api"
WORKER = "worker"
on_shared_nodes = pytest.mark.xdist_group("shared nodes")
on_limited_nodes = pytest.mark.xdist_group("limited nodes")


@dataclass(frozen=True)
class SharedNodes:
    """Two API nodes and a worker, for tests that leave them as they were."""

    first: Server
    second: Server
    worker: Server


@pytest.fixture(scope="module")
def nodes(
    postgres_server: PostgresServer,
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SharedNodes]:
    """Started once: a node takes longer to start than most of these tests take."""
    root = tmp_path_factory.mktemp("shared-nodes")
    with closing(Cluster.over(postgres_server, s3_server.new_bucket(), root)) as cluster:
        first, second = cluster.start(API), cluster.start(API)
        yield SharedNodes(first, second, cluster.start(WORKER, NO_ROW_LIMIT))


@on_shared_nodes
def test_a_run_submitted_on_one_node_runs_on_another_and_every_node_links_its_file(
    nodes: SharedNodes,
) -> None:
    first, second = nodes.first, nodes.second
    run = first.finished(first.submit("SELECT 42 AS answer")["id"])
    assert run["state"] == "complete"
    assert second.file_text(second.get(run["id"])) == "answer\n42\n"
    assert first.workers_of(run["id"]) == []


@on_shared_nodes
def test_a_cancel_on_one_node_stops_the_work_on_another(nodes: SharedNodes) -> None:
    front, back = nodes.first, nodes.worker
    run_id = front.submit(RUNAWAY)["id"]
    pid = back.computing_worker(run_id)
    response = front.cancel(run_id)
    assert (response.status_code, response.json()["state"]) == (200, "canceled")
    assert pid not in back.workers()


@on_shared_nodes
def test_a_wait_on_one_node_ends_with_the_run_on_another(nodes: SharedNodes) -> None:
    front = nodes.first
    run_id = front.submit("SELECT sum(i) AS s FROM range(30000000) t(i)")["id"]
    response = front.http.get(f"/v2/query_runs/{run_id}", headers={"prefer": "wait=30"})
    assert response.json()["state"] == "complete"


@on_shared_nodes
def test_every_node_reports_the_progress_of_a_run_on_another(nodes: SharedNodes) -> None:
    """As the node that runs it last wrote it with its lease."""
    front = nodes.first
    run_id = front.submit(ENDLESS_ROWS)["id"]
    progress = next(
        event for event in events(front, run_id) if event["name"] == "progress" and event["rows"]
    )
    reported = front.get(run_id, "progress")["progress"]
    assert reported["rows"] >= progress["rows"] > 0
    assert reported["stage"] in ("executing", "writing")
    front.cancel(run_id)
    assert front.get(run_id, "progress") == {}


@on_shared_nodes
def test_one_idempotency_key_makes_one_run_over_all_nodes(nodes: SharedNodes) -> None:
    both = (nodes.first, nodes.second)
    headers = {"idempotency-key": str(uuid4())}
    body = {"sql": "SELECT 1", "content_type": "csv"}

    def submit(number: int) -> httpx.Response:
        return both[number % 2].http.post("/v2/query_runs", json=body, headers=headers)

    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(submit, range(24)))
    created = {response.json()["id"] for response in responses if response.status_code == 201}
    assert len(created) == 1
    assert {response.status_code for response in responses} <= {201, 409}


@on_shared_nodes
def test_a_token_revoked_on_one_node_is_refused_by_the_others(nodes: SharedNodes) -> None:
    first, second = nodes.first, nodes.second
    issued = first.made.issued
    credentials = {"client_id": issued.client.id, "client_secret": issued.secret}
    form = {"grant_type": "client_credentials", **credentials}
    token = first.http.post("/oauth/token", data=form).json()["access_token"]
    run_id = second.submit("SELECT 1")["id"]

    def status() -> int:
        return second.http.get(
            f"/v2/query_runs/{run_id}", headers={"authorization": f"Bearer {token}"}
        ).status_code

    assert status() == 200
    revoked = first.http.post("/oauth/revoke", data={"token": token, **credentials})
    assert revoked.status_code == 200
    wait_until(lambda: status() == 401, "the other node refuses the token")


@pytest.fixture(scope="module")
def limited(
    postgres_server: PostgresServer,
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, Server]]:
    """Two API nodes with limits, each of which one test reaches."""
    limits = {
        "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "5",
        "QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "20",
    }
    root = tmp_path_factory.mktemp("limited-nodes")
    with closing(Cluster.over(postgres_server, s3_server.new_bucket(), root)) as cluster:
        yield cluster.start(API, limits), cluster.start(API, limits)


@on_limited_nodes
def test_the_queue_limit_holds_over_all_nodes(limited: tuple[Server, Server]) -> None:
    body = {"sql": "SELECT 1", "content_type": "csv"}

    def submit(number: int) -> int:
        return limited[number % 2].http.post("/v2/query_runs", json=body).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(submit, range(20)))
    assert statuses == [201] * 5 + [429] * 15


def test_the_limit_of_running_runs_holds_over_all_nodes(cluster: Cluster) -> None:
    """Two nodes with free slots and a limit of one: no two attempts overlap."""
    limit = {"QUERYRUN_SOURCES__LIVE__RUNNING_PER_TENANT": "1"}
    front = cluster.start(API, limit)
    cluster.start(WORKER, limit)
    cluster.start(WORKER, limit)
    note_changes_in_order(cluster)
    ids = [front.submit("SELECT sum(i) AS s FROM range(3000000) t(i)")["id"] for _ in range(8)]
    assert {front.finished(run_id)["state"] for run_id in ids} == {"complete"}
    changes = cluster.query("SELECT run_seq, state FROM seen ORDER BY position")
    assert [state for _, state in changes] == ["in_progress", "complete"] * 8
    assert changes[::2] == [(run, "in_progress") for run, _ in changes[1::2]]


def note_changes_in_order(cluster: Cluster) -> None:
    """Count claims and ends as the database makes them. Their times would not do: a machine's clock
    may be set back in between, and then the record shows two attempts at once that never were."""
    cluster.execute("CREATE TABLE seen (position bigserial, run_seq bigint, state text)")
    cluster.execute(
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO seen (run_seq, state) VALUES (new.run_seq, new.state); RETURN new; END $$"
    )
    cluster.execute(
        "CREATE TRIGGER see AFTER INSERT ON run_events FOR EACH ROW"
        " WHEN (new.state IN ('in_progress', 'complete')) EXECUTE FUNCTION see()"
    )


@on_limited_nodes
def test_request_rates_are_counted_over_all_nodes(limited: tuple[Server, Server]) -> None:
    """Token requests per client and address (contract E): each node has got one token already, and
    those may have come back. Failed ones are counted by each node for itself.
    """
    issued = limited[0].made.issued
    form = {
        "grant_type": "client_credentials",
        "client_id": issued.client.id,
        "client_secret": issued.secret,
    }
    began_s = time.monotonic()
    statuses = [
        limited[number % 2].http.post("/oauth/token", data=form).status_code for number in range(32)
    ]
    come_back = int((time.monotonic() - began_s) / 3) + 1  # one of 20 a minute
    assert statuses.count(429) >= 32 - 20 - come_back
    assert statuses.index(429) >= 18


@on_shared_nodes
def test_a_node_without_the_api_role_serves_probes_only(nodes: SharedNodes) -> None:
    node = nodes.worker
    assert node.http.get("/healthz").status_code == 200
    wait_until(lambda: node.http.get("/readyz").status_code == 200, "the worker is ready")
    assert "queryrun_busy_slots" in node.http.get("/metrics").text
    assert node.http.get("/v2/query_runs").status_code == 404
    assert node.http.post("/oauth/token").status_code == 404
