"""Nodes are killed, cut off and restarted: no run is lost, completed twice or left running."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.cluster.namespace import HERE, Bridge, Namespace, own_network, tcp, why_not
from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server
from tests.faults.node_harness import RUNAWAY

API = "api"
WORKER = "worker"
LONG = "SELECT count(*) AS n FROM range(12000000) t(i) WHERE md5(i::VARCHAR) LIKE '%abcdef%'"
"""Takes some seconds of CPU."""


def test_a_killed_nodes_run_is_requeued_and_its_expired_lease_confirms_a_cancel(
    cluster: Cluster,
) -> None:
    """One of its runs is requeued and loses a retry; the other one was told to stop meanwhile."""
    front, killed = cluster.start(API), cluster.start(WORKER)
    long, canceled = front.submit(LONG)["id"], front.submit(RUNAWAY)["id"]
    workers = [killed.computing_worker(run_id) for run_id in (long, canceled)]
    killed.kill()
    assert front.cancel(canceled, prefer="respond-async").json()["state"] == "in_progress"
    cluster.start(WORKER)
    assert front.finished(canceled)["state"] == "canceled"
    run = front.finished(long)
    assert (run["state"], run["remaining_attempts"]) == ("complete", 2)
    assert all(is_gone(pid) for pid in workers)


SWEEPER = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'"
    " AND (classid::bigint << 32 | objid::bigint) = hashtextextended('sweep', 7103)"
)
"""The session of the node that sweeps the bucket."""


def test_another_node_takes_over_the_sweep_of_a_killed_leader(cluster: Cluster) -> None:
    killed = cluster.start(WORKER)
    first = sweeper_of(cluster, exclude=[])
    other = cluster.start(WORKER)
    cluster.wait_ready(other)
    assert cluster.query(SWEEPER) == first
    killed.kill()
    assert sweeper_of(cluster, exclude=first) != first


def sweeper_of(cluster: Cluster, exclude: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The session of the leader for sweeps, once there is one other than `exclude`."""
    deadline = time.monotonic() + 30
    while (found := cluster.query(SWEEPER)) in ([], exclude):
        assert time.monotonic() < deadline
    assert len(found) == 1
    return found


def test_a_cancel_survives_the_death_of_the_node_that_accepted_it(
    cluster: Cluster,
) -> None:
    killed, front = cluster.start(API), cluster.start(API)
    back = cluster.start(WORKER)
    run_id = front.submit(RUNAWAY)["id"]
    back.computing_worker(run_id)
    killed.cancel(run_id, prefer="respond-async")
    killed.kill()
    assert front.finished(run_id)["state"] == "canceled"


def is_gone(pid: int) -> bool:
    """Whether the process has exited. A zombie has: it computes nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# --- cut off --------------------------------------------------------------------------------


@pytest.fixture
def network() -> Iterator[Namespace]:
    """A network namespace for one node."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with own_network() as namespace:
        yield namespace


def test_a_node_without_network_stops_its_work_and_writes_nothing_when_it_is_back(
    cluster: Cluster, network: Namespace
) -> None:
    """Its worker exits although no other node can reach it, and another node runs the statement.
    Once the network is back, the node serves again."""
    front = cluster.start(API)
    cut_off = start_behind(cluster, network)
    run_id = front.submit(RUNAWAY)["id"]
    pid = cut_off.computing_worker(run_id)
    network.cut()
    other = cluster.start(WORKER)
    assert other.computing_worker(run_id) != pid
    assert is_gone(pid), "two workers compute the same run"
    network.mend()
    assert front.get(run_id)["state"] == "in_progress"
    front.cancel(run_id)
    assert front.finished(run_id)["state"] == "canceled"
    attempts = cluster.query("SELECT number, outcome FROM attempts ORDER BY number")
    assert attempts == [(1, "requeued"), (2, "canceled")]
    other.terminate()
    again = front.finished(front.submit("SELECT 1")["id"])
    assert again["state"] == "complete"
    assert cut_off.process.poll() is None


def start_behind(cluster: Cluster, network: Namespace) -> Server:
    """A worker node in the namespace, with bridges to the database and the bucket."""
    database, bucket = cluster.ports
    Bridge(network.path, HERE, tcp(database), database)
    Bridge(network.path, HERE, tcp(bucket), bucket)
    return cluster.start(WORKER, prefix=network.prefix)


# --- under load -----------------------------------------------------------------------------


AHEAD = 50
"""Runs that callers submit beyond those a test waits for: there is load when it kills a node, and
what is waiting then does not depend on how long a node takes to start."""


class Callers:
    """Clients that submit small runs without pause."""

    def __init__(self, node: Server) -> None:
        self._node = node
        self._stop = threading.Event()
        self._required = 0
        self._threads = [threading.Thread(target=self._call) for _ in range(4)]
        self.accepted: list[str] = []
        self.refused: Counter[str] = Counter()

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until(self, count: int) -> None:
        """Wait until `count` runs have been accepted."""
        self._required = count
        deadline = time.monotonic() + 60
        while len(self.accepted) < count and time.monotonic() < deadline:
            self._stop.wait(0.01)
        assert len(self.accepted) >= count

    def _call(self) -> None:
        body = {"sql": "SELECT 1", "content_type": "csv"}
        while not self._stop.is_set():
            if len(self.accepted) >= self._required + AHEAD:
                self._stop.wait(0.01)
                continue
            try:
                response = self._node.http.post("/v2/query_runs", json=body)
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
                continue
            if response.status_code == 201:
                self.accepted.append(response.json()["id"])
            else:
                self.refused[f"{response.status_code}"] += 1


def test_sigkill_under_load_loses_no_run_and_completes_none_twice(
    cluster: Cluster,
) -> None:
    front = cluster.start(API)
    cluster.start(WORKER)
    killed = cluster.start(WORKER)
    with Callers(front) as callers:  # `make kill-ledger` kills as many as it is told to
        callers.until(15)
        killed.kill()
        callers.until(len(callers.accepted) + 15)
    assert not callers.refused
    assert {front.finished(run_id)["state"] for run_id in callers.accepted} == {"complete"}
    assert_each_completed_once(cluster)


def assert_each_completed_once(cluster: Cluster) -> None:
    """Every run has one `complete` event and one file. What a killed attempt left behind is removed
    by a task of its own, a little later."""
    twice = cluster.query(
        "SELECT run_seq FROM run_events WHERE state = 'complete' GROUP BY run_seq"
        " HAVING count(*) > 1"
    )
    assert twice == []
    (runs,) = cluster.query("SELECT count(*) FROM runs WHERE state = 'complete'")[0]
    deadline = time.monotonic() + 60
    while len(cluster.files()) > runs and time.monotonic() < deadline:
        time.sleep(0.2)
    assert runs == len(cluster.files())


def test_nodes_survive_a_restart_of_the_database(cluster: Cluster) -> None:
    """Running statements continue; meanwhile requests get 503."""
    front = cluster.start()
    run_id = front.submit(LONG)["id"]
    front.computing_worker(run_id)
    cluster.postgres.stop()
    cluster.wait_unavailable(front)
    cluster.postgres.start()
    cluster.wait_ready(front)
    assert front.finished(run_id)["state"] == "complete"
    assert front.get(run_id)["remaining_attempts"] == 3
