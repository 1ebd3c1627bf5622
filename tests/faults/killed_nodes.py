"""Kill a node again and again while runs and messages are in flight, and count what came of it.

`make kill-ledger KILLS=200` prints the counts, `make kill-ledger CLUSTER=yes` those of two nodes on
one PostgreSQL of which one is killed; a test does it a few times. A killed node's runs and
messages are settled by the next process on the same home.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2 as httpx

from queryrun.cli.home import init_home
from tests import postgres_server, s3_server
from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server, ServerHarness

ENVIRON = {
    "QUERYRUN_WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.1/32",
    "QUERYRUN_WEBHOOKS__ALLOW_HTTP": "true",
    "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__MAX_RETRIES": "20",
}
PROGRAM = ("tests.faults.brief_deliveries", "serve")
SQL = "SELECT sum(i) AS s FROM range(300000) t(i)"
RUNS_PER_KILL = 4
TIMEOUT_S = 180.0
UNLIMITED_S = float("inf")
FIGURES = ("cpu_ms", "wall_ms", "written_bytes", "result_rows")
Message = tuple[str, str, str]
"""A message's id, its run and its event."""


@dataclass
class Outcome:
    """What came of it. The last four have to be 0."""

    kills: int = 0
    runs: int = 0
    messages: int = 0
    repeated: int = 0
    lost: int = 0
    invented: int = 0
    """Messages of what no run's history has."""
    out_of_order: int = 0
    ledger_differs: list[str] = field(default_factory=list)
    """The figures."""

    @property
    def is_good(self) -> bool:
        """Nothing lost or invented, nothing out of order, the ledger exact."""
        return not (self.lost or self.invented or self.out_of_order or self.ledger_differs)


class _Receiver(ThreadingHTTPServer):
    """Takes messages at once, and keeps them in the order of their arrival."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """One message."""
        content = loads(self.rfile.read(int(self.headers["content-length"])))
        assert isinstance(self.server, _Receiver)
        message = (self.headers["webhook-id"], content["data"]["id"], content["type"])
        self.server.messages.append(message)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


def kill_again_and_again(
    folder: Path, kills: int, seed: int = 1, limit_s: float = UNLIMITED_S
) -> Outcome:
    """Kill a node `kills` times at random moments, for `limit_s` at the longest, then let
    everything finish, and count."""
    chance, outcome = random.Random(seed), Outcome()  # noqa: S311 - moments, not secrets
    harness = ServerHarness(init_home(folder / "home", entity="main", factor=None), folder / "log")
    try:
        with _receiving() as receiver:
            server = harness.serve(ENVIRON, PROGRAM)
            url = f"http://127.0.0.1:{receiver.server_port}/"
            assert server.http.post("/v2/webhooks", json={"url": url}).status_code == 201
            for _ in _counted(kills, limit_s, outcome):
                for _ in range(RUNS_PER_KILL):
                    server.submit(SQL)
                time.sleep(chance.uniform(0, 0.4))
                server.kill()
                server.http.close()
                server = harness.serve(ENVIRON, PROGRAM)
            _judge(server, receiver.messages, outcome)
    finally:
        harness.close()
    return outcome


def kill_nodes_of_a_cluster(
    cluster: Cluster, kills: int, seed: int = 1, limit_s: float = UNLIMITED_S
) -> Outcome:
    """The same with two nodes on one database: at random one of them is killed, while the other
    goes on, and a new one takes its place."""
    chance, outcome = random.Random(seed), Outcome()  # noqa: S311 - moments, not secrets
    cluster.environ.update(ENVIRON)
    with _receiving() as receiver:
        nodes = [cluster.start(program=("-m", *PROGRAM)) for _ in range(2)]
        url = f"http://127.0.0.1:{receiver.server_port}/"
        assert nodes[0].http.post("/v2/webhooks", json={"url": url}).status_code == 201
        for _ in _counted(kills, limit_s, outcome):
            for n in range(RUNS_PER_KILL):
                nodes[n % 2].submit(SQL)
            time.sleep(chance.uniform(0, 0.4))
            killed = chance.randrange(2)
            nodes[killed].kill()
            nodes[killed].http.close()
            nodes[killed] = cluster.start(program=("-m", *PROGRAM))
        _judge(nodes[0], receiver.messages, outcome)
    return outcome


@contextmanager
def _receiving() -> Iterator[_Receiver]:
    """A receiver, listening on loopback."""
    receiver = _Receiver()
    thread = Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def _judge(server: Server, messages: list[Message], outcome: Outcome) -> None:
    runs = _finished_runs(server)
    _await_delivered(server)
    outcome.runs, outcome.messages = len(runs), len(messages)
    seen: dict[str, Message] = {}
    for message in messages:
        seen.setdefault(message[0], message)
    outcome.repeated = len(messages) - len(seen)
    by_run: dict[str, list[str]] = defaultdict(list)
    for _, run_id, event in seen.values():
        by_run[run_id].append(event)
    for run in runs:
        expected = _events(server, str(run["id"]))
        received = by_run[str(run["id"])]
        outcome.lost += sum((Counter(expected) - Counter(received)).values())
        outcome.invented += sum((Counter(received) - Counter(expected)).values())
        outcome.out_of_order += Counter(expected) == Counter(received) and expected != received
    [ledger] = server.http.get("/v2/usage").json()["data"]
    outcome.ledger_differs = _differences(ledger, runs)


def _differences(ledger: dict[str, Any], runs: list[dict[str, Any]]) -> list[str]:
    """What the ledger adds up that is not the sum of the runs, by what each says of its usage and,
    apart from the ledger, by its attempts and its result."""
    attempts = [one for run in runs for one in run["attempts"]]
    complete = [run for run in runs if run["state"] == "complete"]
    by_outcome: Counter[str] = Counter()
    for one in ledger["attempts_by_cause"]:
        by_outcome[one["outcome"]] += one["count"]
    equal = {
        **{name: (ledger[name], sum(run["usage"][name] for run in runs)) for name in FIGURES},
        "attempts of runs": (sum(run["usage"]["attempts"] for run in runs), len(attempts)),
        "attempts": (ledger["attempts"], len(attempts)),
        "outcomes": (by_outcome, Counter(one["outcome"] for one in attempts)),
        "complete runs": (ledger["runs"]["complete"], len(complete)),
        "rows": (ledger["result_rows"], sum(run["number_of_rows"] for run in complete)),
    }
    return [name for name, (one, other) in equal.items() if one != other]


def _finished_runs(server: Server) -> list[dict[str, Any]]:
    """Every run, once all are terminal."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        runs = _all(
            server, "/v2/query_runs", {"fields[]": "id,state,usage,attempts,number_of_rows"}
        )
        if all(run["state"] in ("complete", "failed", "canceled") for run in runs):
            return runs
        time.sleep(0.2)
    raise AssertionError("runs go on")


def _await_delivered(server: Server) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while _all(server, "/v2/webhook_deliveries", {"state": "pending"}):
        assert time.monotonic() < deadline, "messages are pending"
        time.sleep(0.2)


def _all(server: Server, path: str, params: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = server.http.get(path, params={**params, **cursor, "page_size": "99"})
        assert response.status_code == 200, response.text
        page = response.json()
        found += page["data"]
        if not page["next_page"]:
            return found
        cursor = {"cursor": page["next_page"]}


def _events(server: Server, run_id: str) -> list[str]:
    """What its receivers must have been told, by the run's own history."""
    names = {"accept": "run.accepted", "claim": "run.in_progress", "requeue": "run.requeued"}
    names |= {"complete": "run.complete", "fail": "run.failed", "freed": "run.canceled"}
    events: list[str] = []
    with (
        suppress(httpx.RemoteProtocolError),
        server.http.stream("GET", f"/v2/query_runs/{run_id}/events") as stream,
    ):
        lines = (loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        events.extend(names[content["event"]] for content in lines if "event" in content)
    return events


def _counted(kills: int, limit_s: float, outcome: Outcome) -> Iterator[None]:
    """So many kills, or those that there is time for. A long count says how far it is."""
    began_s = time.monotonic()
    while outcome.kills < kills and time.monotonic() - began_s < limit_s:
        yield
        outcome.kills += 1
        if outcome.kills % 20 == 0:
            print(f"{outcome.kills} of {kills} kills", file=sys.stderr, flush=True)


def main(kills: int, seed: int, limit_s: float, *, is_cluster: bool) -> Outcome:
    """Kill, on SQLite or on two nodes over PostgreSQL, in a folder that is removed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not is_cluster:
            return kill_again_and_again(folder, kills, seed, limit_s)
        postgres = stack.enter_context(postgres_server.running())
        bucket = stack.enter_context(s3_server.running(folder / "s3")).new_bucket()
        cluster = Cluster.over(postgres, bucket, folder)
        stack.callback(cluster.close)
        return kill_nodes_of_a_cluster(cluster, kills, seed, limit_s)


if __name__ == "__main__":
    count, first_seed, seconds = sys.argv[1:4]
    is_of_a_cluster = "--cluster" in sys.argv
    result = main(int(count), int(first_seed), float(seconds), is_cluster=is_of_a_cluster)
    print(result)
    sys.exit(not result.is_good)
