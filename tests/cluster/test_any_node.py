"""Any node answers for any run, and what holds on one node holds across all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import uuid4

import httpx2 as httpx

from tests.cluster.nodes import Cluster
from tests.e2e.test_progress import NO_ROW_LIMIT, events
from tests.faults.node_harness import ENDLESS_ROWS, RUNAWAY

API = "api"
WORKER = "worker"


def test_a_run_submitted_here_runs_there_and_its_file_is_linked_everywhere(
    cluster: Cluster,
) -> None:
    first, second = cluster.start(API), cluster.start(API)
    cluster.start(WORKER)
    run = first.ended(first.submit("SELECT 42 AS answer")["id"])
    assert run["state"] == "complete"
    assert second.file_text(second.get(run["id"])) == "answer\n42\n"
    assert first.workers_of(run["id"]) == []


def test_a_cancel_here_stops_the_work_there(cluster: Cluster) -> None:
    front, back = cluster.start(API), cluster.start(WORKER)
    run_id = front.submit(RUNAWAY)["id"]
    pid = back.computing_worker(run_id)
    answer = front.cancel(run_id)
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    assert pid not in back.workers()


def test_a_wait_here_hears_of_the_end_there(cluster: Cluster) -> None:
    front = cluster.start(API)
    cluster.start(WORKER)
    run_id = front.submit("SELECT sum(i) AS s FROM range(30000000) t(i)")["id"]
    answer = front.http.get(f"/v2/query_runs/{run_id}", headers={"prefer": "wait=30"})
    assert answer.json()["state"] == "complete"


def test_progress_of_a_run_there_is_shown_and_told_here(cluster: Cluster) -> None:
    """What the node that works on it last wrote down with its lease, for whoever asks elsewhere."""
    front = cluster.start(API)
    cluster.start(WORKER, NO_ROW_LIMIT)
    run_id = front.submit(ENDLESS_ROWS)["id"]
    told = next(
        event for event in events(front, run_id) if event["name"] == "progress" and event["rows"]
    )
    shown = front.get(run_id, "progress")["progress"]
    assert shown["rows"] >= told["rows"] > 0
    assert shown["stage"] in ("executing", "writing")
    front.cancel(run_id)
    assert front.get(run_id, "progress") == {}


def test_one_key_makes_one_run_whichever_nodes_are_asked(cluster: Cluster) -> None:
    nodes = [cluster.start(API), cluster.start(API)]
    headers = {"idempotency-key": str(uuid4())}
    body = {"sql": "SELECT 1", "content_type": "csv"}

    def submit(number: int) -> httpx.Response:
        return nodes[number % 2].http.post("/v2/query_runs", json=body, headers=headers)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(submit, range(24)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


def test_the_queue_is_full_for_all_nodes_together(cluster: Cluster) -> None:
    limit = {"QUERYRUN_SOURCES__LIVE__MAX_QUEUED_PER_TENANT": "5"}
    nodes = [cluster.start(API, limit), cluster.start(API, limit)]
    body = {"sql": "SELECT 1", "content_type": "csv"}

    def submit(number: int) -> int:
        return nodes[number % 2].http.post("/v2/query_runs", json=body).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(submit, range(20)))
    assert statuses == [201] * 5 + [429] * 15


def test_running_runs_are_limited_for_all_nodes_together(cluster: Cluster) -> None:
    """Two nodes with free slots, a limit of one: no attempt begins before the last has ended."""
    limit = {"QUERYRUN_SOURCES__LIVE__MAX_RUNNING_PER_TENANT": "1"}
    front = cluster.start(API, limit)
    cluster.start(WORKER, limit)
    cluster.start(WORKER, limit)
    ids = [front.submit("SELECT sum(i) AS s FROM range(3000000) t(i)")["id"] for _ in range(8)]
    assert {front.ended(run_id)["state"] for run_id in ids} == {"complete"}
    spans = cluster.query("SELECT claimed_ms, ended_ms FROM attempts ORDER BY claimed_ms")
    assert len(spans) == 8
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(spans))


def test_requests_are_counted_by_all_nodes_together(cluster: Cluster) -> None:
    """Token requests per address (contract E): each node has asked for one token already."""
    limit = {"QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "20"}
    nodes = [cluster.start(API, limit), cluster.start(API, limit)]
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "no"}
    statuses = [
        nodes[number % 2].http.post("/oauth/token", data=form).status_code for number in range(30)
    ]
    assert statuses.count(429) >= 30 - 18 - 1, "one token may come back meanwhile"
    assert statuses.index(429) >= 18


def test_a_node_that_only_works_answers_probes_and_nothing_else(cluster: Cluster) -> None:
    node = cluster.start(WORKER)
    assert node.http.get("/healthz").status_code == 200
    assert node.http.get("/readyz").status_code == 200
    assert "queryrun_busy_slots" in node.http.get("/metrics").text
    assert node.http.get("/v2/query_runs").status_code == 404
    assert node.http.post("/oauth/token").status_code == 404
