"""A node is killed, cut off, restarted: no accepted run is lost, none ends twice, none runs on."""

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
"""Ends by itself, after some seconds of CPU."""


def test_what_a_killed_node_ran_goes_on_elsewhere_with_an_attempt_less(cluster: Cluster) -> None:
    front, doomed = cluster.start(API), cluster.start(WORKER)
    run_id = front.submit(LONG)["id"]
    pid = doomed.computing_worker(run_id)
    doomed.kill()
    cluster.start(WORKER)
    run = front.ended(run_id)
    assert (run["state"], run["remaining_attempts"]) == ("complete", 2)
    assert is_gone(pid)


def test_a_cancel_of_what_a_killed_node_ran_is_proven_by_its_lease(cluster: Cluster) -> None:
    front, doomed = cluster.start(API), cluster.start(WORKER)
    run_id = front.submit(RUNAWAY)["id"]
    pid = doomed.computing_worker(run_id)
    doomed.kill()
    assert front.cancel(run_id, prefer="respond-async").json()["state"] == "in_progress"
    cluster.start(WORKER)
    assert front.ended(run_id)["state"] == "canceled"
    assert is_gone(pid)


SWEEPER = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'"
    " AND (classid::bigint << 32 | objid::bigint) = hashtextextended('sweep', 7103)"
)
"""The session of the node that sweeps the bucket."""


def test_one_node_sweeps_the_bucket_and_another_when_it_is_killed(cluster: Cluster) -> None:
    doomed = cluster.start(WORKER)
    first = sweeper_of(cluster, besides=[])
    other = cluster.start(WORKER)
    cluster.wait_ready(other)
    assert cluster.query(SWEEPER) == first
    doomed.kill()
    assert sweeper_of(cluster, besides=first) != first


def sweeper_of(cluster: Cluster, besides: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Who sweeps, once it is anybody but those."""
    deadline = time.monotonic() + 30
    while (found := cluster.query(SWEEPER)) in ([], besides):
        assert time.monotonic() < deadline
    assert len(found) == 1
    return found


def test_an_api_node_that_is_killed_in_the_middle_of_a_cancel_changes_nothing(
    cluster: Cluster,
) -> None:
    doomed, front = cluster.start(API), cluster.start(API)
    back = cluster.start(WORKER)
    run_id = front.submit(RUNAWAY)["id"]
    back.computing_worker(run_id)
    doomed.cancel(run_id, prefer="respond-async")
    doomed.kill()
    assert front.ended(run_id)["state"] == "canceled"


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie computes nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# --- cut off --------------------------------------------------------------------------------


@pytest.fixture
def network() -> Iterator[Namespace]:
    """A network of its own for one node."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with own_network() as namespace:
        yield namespace


def test_a_node_that_is_cut_off_stops_by_itself_and_writes_nothing_when_it_is_back(
    cluster: Cluster, network: Namespace
) -> None:
    """Its worker ends although nobody can reach it; the run goes on elsewhere; then the cable is
    mended, and the node serves again as if nothing had been."""
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
    assert front.ended(run_id)["state"] == "canceled"
    attempts = cluster.query("SELECT number, outcome FROM attempts ORDER BY number")
    assert attempts == [(1, "requeued"), (2, "canceled")]
    other.end()
    again = front.ended(front.submit("SELECT 1")["id"])
    assert again["state"] == "complete"
    assert cut_off.process.poll() is None


def start_behind(cluster: Cluster, network: Namespace) -> Server:
    """A worker node in a network of its own, with bridges to the database and the bucket."""
    database, bucket = cluster.ports
    Bridge(network.path, HERE, tcp(database), database)
    Bridge(network.path, HERE, tcp(bucket), bucket)
    return cluster.start(WORKER, prefix=network.prefix)


# --- under load -----------------------------------------------------------------------------


class Callers:
    """Clients that submit small runs without pause until told to stop, retrying what may be."""

    def __init__(self, nodes: list[Server]) -> None:
        self._nodes = nodes
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(4)]
        self.answered: list[str] = []
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
        """Wait until so many runs were accepted."""
        deadline = time.monotonic() + 60
        while len(self.answered) < count and time.monotonic() < deadline:
            self._stop.wait(0.01)
        assert len(self.answered) >= count

    def _call(self, number: int) -> None:
        body = {"sql": "SELECT 1", "content_type": "csv"}
        turn = number
        while not self._stop.is_set():
            node = self._nodes[turn % len(self._nodes)]
            turn += 1
            try:
                answer = node.http.post("/v2/query_runs", json=body)
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
                continue
            if answer.status_code == 201:
                self.answered.append(answer.json()["id"])
            else:
                self.refused[f"{answer.status_code}"] += 1


def test_a_rolling_restart_under_load_loses_nothing(cluster: Cluster) -> None:
    """Callers see nothing but answers, a node that closes its door (a transport error on a
    connection that is reused) or one that says to come again (503)."""
    nodes = [cluster.start(), cluster.start()]
    with Callers(nodes) as callers:
        for turn in range(2):
            callers.until(len(callers.answered) + 50)
            old = nodes[turn]
            nodes[turn] = cluster.start()
            assert old.end() == 0
        callers.until(len(callers.answered) + 50)
    assert set(callers.refused) <= {"503", "ConnectError", "RemoteProtocolError", "ReadError"}
    assert {nodes[0].ended(run_id)["state"] for run_id in callers.answered} == {"complete"}
    assert_each_ended_once(cluster)


def test_kill_minus_nine_under_load_loses_nothing_and_completes_nothing_twice(
    cluster: Cluster,
) -> None:
    front = cluster.start(API)
    cluster.start(WORKER)
    with Callers([front]) as callers:
        for _ in range(4):
            doomed = cluster.start(WORKER)
            callers.until(len(callers.answered) + 25)
            doomed.kill()
    assert not callers.refused
    assert {front.ended(run_id)["state"] for run_id in callers.answered} == {"complete"}
    assert_each_ended_once(cluster)


def assert_each_ended_once(cluster: Cluster) -> None:
    """One event of completion, and one file, for every run."""
    twice = cluster.query(
        "SELECT run_seq FROM run_events WHERE state = 'complete' GROUP BY run_seq"
        " HAVING count(*) > 1"
    )
    assert twice == []
    (runs,) = cluster.query("SELECT count(*) FROM runs WHERE state = 'complete'")[0]
    assert runs == len(cluster.files())


def test_the_database_may_restart_under_the_nodes(cluster: Cluster) -> None:
    """Running statements go on; requests meanwhile are told to come again."""
    front = cluster.start()
    run_id = front.submit(LONG)["id"]
    front.computing_worker(run_id)
    cluster.postgres.stop()
    status = front.http.get("/readyz").status_code
    cluster.postgres.start()
    assert status == 503
    cluster.wait_ready(front)
    assert front.ended(run_id)["state"] == "complete"
    assert front.get(run_id)["remaining_attempts"] == 3
