"""An outage of a shared part costs time, and no run a retry."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server, wait_logged
from tests.postgres_server import running
from tests.s3_proxy import Fault, fault_proxy
from tests.s3_server import S3Server

WRITES_SLOWLY = "SELECT i, md5(i::VARCHAR) AS h FROM range(400000) t(i)"
"""Some 15 MB: it is in the middle of an upload for a while."""
BRIEF = {
    "QUERYRUN_LEASES__LEASE_S": "3",
    "QUERYRUN_LEASES__HEARTBEAT_S": "0.5",
    "QUERYRUN_LEASES__REAP_INTERVAL_S": "0.3",
}


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Poll: other processes do it."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def results_state(node: Server) -> str:
    """What the node says of its store of results."""
    return str(node.http.get("/readyz").json()["checks"]["results"])


def test_without_its_bucket_a_node_says_so_and_runs_wait_uncharged(
    cluster: Cluster,
) -> None:
    node = cluster.start(environ={"QUERYRUN_RESULTS__BUCKET": "no-such-bucket"})
    wait_until(lambda: "NoSuchBucket" in results_state(node), "readyz names the bucket")
    ready = node.http.get("/readyz")
    assert ready.status_code == 503
    assert "results.bucket" in results_state(node)
    run_id = node.submit("SELECT 1 AS a")["id"]
    waiting = node.get(run_id, "state,waiting_for,remaining_attempts")
    assert waiting["state"] == "accepted"
    assert "NoSuchBucket" in waiting["waiting_for"]
    wait_logged(cluster.log, "part_unavailable", "NoSuchBucket")


def test_a_result_is_kept_while_the_bucket_is_away_and_uploaded_later(
    cluster: Cluster, s3_server: S3Server
) -> None:
    with fault_proxy(s3_server.endpoint) as proxy:
        node = cluster.start(environ={"QUERYRUN_RESULTS__ENDPOINT": proxy.endpoint})
        cluster.wait_ready(node)
        proxy.plan = lambda _method, _target: Fault.BUSY
        wait_until(lambda: results_state(node) != "ok", "readyz says that the bucket is away")
        proxy.plan = lambda _m, _t: Fault.NONE
        wait_until(lambda: results_state(node) == "ok", "the bucket is back")
        kept = [
            lambda method, target: (
                Fault.BUSY if method == "PUT" and "probe-" not in target else Fault.NONE
            )
        ]
        proxy.plan = kept[0]
        run_id = node.submit(WRITES_SLOWLY)["id"]
        wait_until(lambda: uploads_refused(proxy.seen) >= 6, "more retries than a request has")
        assert node.get(run_id)["state"] == "in_progress"
        proxy.plan = lambda _m, _t: Fault.NONE
        run = node.finished(run_id)
    assert run["state"] == "complete"
    [(attempts, left)] = cluster.query("SELECT attempt, remaining_attempts FROM runs")
    assert (attempts, left) == (1, 3), "it was computed once"


def uploads_refused(seen: list[str]) -> int:
    """How often a worker tried to write."""
    return sum(line.startswith("PUT") and "probe-" not in line for line in seen)


def test_no_run_is_charged_for_an_outage_of_the_database(s3_server: S3Server, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with running() as postgres:
        cluster = Cluster.over(postgres, s3_server.new_bucket(), tmp_path)
        try:
            node, other = (cluster.start(environ=BRIEF) for _ in range(2))
            run_id = node.submit("SELECT count(*) AS n FROM range(60000000000) t(i)")["id"]
            wait_until(lambda: bool(node.workers_of(run_id) or other.workers_of(run_id)), "it runs")
            postgres.stop()
            wait_until(
                lambda: not (node.workers_of(run_id) or other.workers_of(run_id)),
                "its lease cannot be extended",
            )
            cluster.wait_unavailable(node)
            postgres.start()
            wait_until(lambda: attempts_of(cluster) >= 2, "it was started again")
            [(left,)] = cluster.query("SELECT remaining_attempts FROM runs")
            assert left == 3
            wait_logged(cluster.log, "store_connect_failed", "Connection refused")
        finally:
            cluster.close()


def attempts_of(cluster: Cluster) -> int:
    [(attempt,)] = cluster.query("SELECT attempt FROM runs")
    return int(attempt)


def test_a_run_on_a_source_without_a_worker_says_so(cluster: Cluster) -> None:
    front = cluster.start("api")
    run_id = front.submit("SELECT 1 AS a")["id"]
    assert front.get(run_id, "waiting_for,state")["waiting_for"] == "no_worker"
    ready = front.http.get("/readyz")
    assert ready.status_code == 200
    assert "no live node" in ready.json()["checks"]["cluster"]
    cluster.start("worker")
    assert front.finished(run_id)["state"] == "complete"
