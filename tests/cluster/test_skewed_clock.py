"""One of two nodes has a wrong clock: it changes no run, and removes nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server, wait_logged

DAY_S = 24 * 3600
SKEWED = ("-m", "tests.cluster.skewed_node", "serve")
QUICK_MAINTENANCE = {"QUERYRUN_LEASES__REAP_INTERVAL_S": "0.05"}


def skewed_node(cluster: Cluster, skew_s: float, roles: str = "api,worker") -> Server:
    """Another node, its clock wrong by so much."""
    environ = {"NODE_SKEW_S": str(skew_s)} | QUICK_MAINTENANCE
    return cluster.start(roles, environ=environ, program=SKEWED)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Poll: another process does it."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_nodes_a_month_off_remove_neither_runs_nor_tokens_and_say_so(cluster: Cluster) -> None:
    right = cluster.start("api", environ=QUICK_MAINTENANCE)
    wrong = {skew_s: skewed_node(cluster, skew_s) for skew_s in (31 * DAY_S, -31 * DAY_S)}
    finished = [right.submit(f"SELECT {n} AS n")["id"] for n in range(20)]
    for run_id in finished:
        assert right.finished(run_id)["state"] == "complete"
    assert right.http.get("/readyz").json()["checks"]["clock"] == "ok"
    for skew_s, node in wrong.items():
        assert_skew_is_reported(node, skew_s)
        for run_id in finished:
            run = node.get(run_id)
            assert 0 <= run["processing_duration"] < 60_000
            assert right.file_text(run), "a link of the wrong node opens everywhere"
    wait_logged(cluster.log, "clock_skewed")
    [(runs, tokens)] = cluster.query("SELECT (SELECT count(*) FROM runs), count(*) FROM tokens")
    assert (runs, tokens) == (20, 3)


def assert_skew_is_reported(node: Server, skew_s: float) -> None:
    """It serves, by the database's clock, and says how wrong its own is."""
    ready = node.http.get("/readyz")
    assert ready.status_code == 200
    assert f"{skew_s:+.0f}"[:6] in ready.json()["checks"]["clock"]
    assert "queryrun_clock_skew_seconds" in node.http.get("/metrics").text


def test_a_node_that_is_minutes_ahead_delays_no_other_attempt(cluster: Cluster) -> None:
    """It requeues a run whose worker died: the pause is the database's second, not its minutes."""
    right = cluster.start("api", environ=QUICK_MAINTENANCE)
    skewed_node(cluster, 300, "worker")
    run_id = right.submit("SELECT count(*) AS n FROM range(3000000000) t(i) WHERE i % 7 = 3")["id"]
    worker = cluster.nodes[-1]
    pid = worker.computing_worker(run_id)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: requeued_at(cluster) is not None, "the attempt was requeued")
    pause_ms = requeued_at(cluster)
    assert pause_ms is not None
    assert 0 <= pause_ms <= 60_000
    assert right.cancel(run_id).json()["state"] in {"canceled", "in_progress"}


def requeued_at(cluster: Cluster) -> int | None:
    """The pause that the run got with its requeue, in milliseconds; None before."""
    rows = cluster.query(
        "SELECT r.ready_ms - e.at_ms FROM run_events e JOIN runs r ON r.seq = e.run_seq"
        " WHERE e.event = 'requeue'"
    )
    return int(rows[0][0]) if rows else None
