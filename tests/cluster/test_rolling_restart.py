"""Nodes restart one after the other behind a balancer, and no client is refused."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx

from tests.cluster.balancer import BALANCERS, FALL, HAPROXY, INTERVAL_S
from tests.cluster.nodes import Cluster
from tests.cluster.test_nodes_die import assert_each_completed_once
from tests.e2e.conftest import Server, wait_logged
from tests.ports import free_port

REQUESTS = 282
"""As many as were sent when 21 of them were refused."""
DELAY_S = INTERVAL_S * FALL * 4
"""Twice what a balancer needs is enough; its own looks take time on a busy machine."""
BETWEEN_S = 0.05
NODES = 2


@dataclass
class Clients:
    """Clients that submit and read all the time, each request on a connection of its own."""

    url: str
    headers: dict[str, str]
    responses: Counter[str] = field(default_factory=Counter)
    runs: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Until it is over."""
        while not self.over.wait(BETWEEN_S):
            body = {"sql": "SELECT 1 AS a", "content_type": "csv"}
            run = self._request("POST", "/v2/query_runs", json=body)
            if run is not None:
                self.runs.append(run["id"])
                self._request("GET", f"/v2/query_runs/{run['id']}")

    def _request(self, method: str, path: str, **more: Any) -> dict[str, Any] | None:
        headers = {**self.headers, "connection": "close"}
        try:
            response = httpx.request(method, self.url + path, headers=headers, timeout=60, **more)
        except httpx.HTTPError as error:
            self.responses[type(error).__name__] += 1
            return None
        self.responses[str(response.status_code)] += 1
        if self.responses.total() >= REQUESTS:
            self.enough.set()
        found: dict[str, Any] | None = response.json() if response.is_success else None
        return found


def test_nobody_is_refused_while_the_nodes_restart_one_after_the_other(
    cluster: Cluster, tmp_path: Path
) -> None:
    """With haproxy where it is installed, else with the stand-in (`tests/cluster/balancer.py`)."""
    environ = {
        "QUERYRUN_SERVER__DRAIN_DELAY_S": str(DELAY_S),
        "QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "10",
    }
    nodes = [cluster.start(environ=environ, port=free_port()) for _ in range(NODES)]
    ports = [urlsplit(node.url).port or 0 for node in nodes]
    name = "stand-in" if HAPROXY is None else "haproxy"
    with BALANCERS[name](ports, tmp_path) as url:
        clients = Clients(url, {"authorization": nodes[0].http.headers["authorization"]})
        _wait_balanced(url)
        threads = [threading.Thread(target=clients.go_on) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number, port in enumerate(ports):
                assert nodes[number].terminate() == 0
                nodes[number] = cluster.start(environ=environ, port=port)
                cluster.wait_ready(nodes[number])
                clients.over.wait(INTERVAL_S * 2)  # the balancer takes it in again
            assert clients.enough.wait(60), clients.responses
        finally:
            clients.over.set()
            for thread in threads:
                thread.join()
    assert set(clients.responses) == {"200", "201"}, (name, clients.responses, _starved(cluster))
    assert clients.responses.total() >= REQUESTS
    _assert_all_complete(nodes[0], clients.runs)
    assert_each_completed_once(cluster)


def _wait_balanced(url: str) -> None:
    """The balancer has found the nodes."""
    wait = threading.Event()
    for _ in range(300):
        try:
            if httpx.get(f"{url}/readyz", timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        wait.wait(0.1)
    raise AssertionError("the balancer passes nothing on")


def _starved(cluster: Cluster) -> str:
    """What the nodes themselves complained of, for whoever reads a failure."""
    lines = wait_logged(cluster.log, "stopped").splitlines()
    return "\n".join(line for line in lines if "part_unavailable" in line)[-2000:]


def _assert_all_complete(node: Server, runs: list[str]) -> None:
    assert {node.finished(run_id)["state"] for run_id in runs} == {"complete"}
