"""A home, and real server processes on it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from queryrun.auth.model import IssuedSecret
from queryrun.cli.clients import NewClient, create
from queryrun.cli.home import MadeHome, init_home
from tests.s3_server import s3_server as s3_server  # a fixture

QUICK = {
    "QUERYRUN_SOURCES__LIVE__DIALECT": "native",
    "QUERYRUN_LEASES__LEASE_S": "3",
    "QUERYRUN_LEASES__HEARTBEAT_S": "0.5",
    "QUERYRUN_LEASES__REAP_INTERVAL_S": "0.5",
    "QUERYRUN_RETRIES__FIRST_S": "0.05",
    "QUERYRUN_RETRIES__MAX_S": "0.2",
    "QUERYRUN_RATES__PRESET": "off",
    "QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "0",
}
"""Short leases and back-offs: what takes a minute in production takes a second here."""

RUNAWAY = "SELECT list_sum(range(200000000))"
"""Ignores interrupts, so only a kill stops it early."""


PROGRAM = ("queryrun.cli", "serve")
"""The module that runs as the server; a test may replace it with a broken one."""


@dataclass
class Server:
    """One server process and an authorised client of it."""

    process: subprocess.Popen[str]
    url: str
    http: httpx.Client
    made: MadeHome

    def submit(self, sql: str, content_type: str = "csv", **more: Any) -> dict[str, Any]:
        response = self.http.post(
            "/v2/query_runs", json={"sql": sql, "content_type": content_type} | more
        )
        assert response.status_code == 201, response.text
        run: dict[str, Any] = response.json()
        return run

    def get(self, run_id: str, fields: str = "") -> dict[str, Any]:
        params = {"fields[]": fields} if fields else {}
        response = self.http.get(f"/v2/query_runs/{run_id}", params=params)
        assert response.status_code == 200, response.text
        run: dict[str, Any] = response.json()
        return run

    def cancel(self, run_id: str, **headers: str) -> httpx.Response:
        return self.http.post(f"/v2/query_runs/{run_id}/cancel", headers=headers)

    def cancel_unfinished(self) -> None:
        """Cancel the client's runs that wait or run."""
        for state in ("accepted", "in_progress"):
            clause = {"filter[]": f"state.EQ:{state}"}
            for run in self.http.get("/v2/query_runs", params=clause).json()["data"]:
                self.cancel(run["id"])

    def finished(self, run_id: str) -> dict[str, Any]:
        """The run once it has finished, a failed one with its `error`. The server waits for it; a
        503 is retried."""
        for _ in range(20):
            response = self.http.get(f"/v2/query_runs/{run_id}", headers={"prefer": "wait=10"})
            run: dict[str, Any] = response.json()
            if response.status_code != 503 and run["state"] in {"complete", "failed", "canceled"}:
                return run | (self.get(run_id, "error") if run["state"] == "failed" else {})
        raise AssertionError(f"run {run_id} did not end: {run}")

    def wait_until_claimed(self, run_id: str) -> None:
        """Return when the run has left the queue. Polls the server."""
        deadline = time.monotonic() + 60
        while self.get(run_id)["state"] == "accepted":
            assert time.monotonic() < deadline, f"{run_id} still waits"

    def file_text(self, run: dict[str, Any]) -> str:
        """The result file, downloaded with nothing but the link."""
        response = httpx.get(run["file"]["url"])
        assert response.status_code == 200, response.text
        return response.text

    def workers(self) -> list[int]:
        """The pids of all descendants of the server."""
        return list(_descendants(self.process.pid))

    def computing_worker(self, run_id: str, exclude: int = 0) -> int:
        """The pid of the run's worker, once it has used some CPU for it. Polls the process table.

        A worker has the run's id in its process name. What it has used before it had that name
        says nothing: the start of a worker costs as much, and the statement may not have begun.
        """
        used_before: dict[int, float] = {}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for pid in self.workers_of(run_id):
                cpu_s = _cpu_s(pid)
                if pid != exclude and cpu_s > used_before.setdefault(pid, cpu_s) + 0.3:
                    return pid
            time.sleep(0.01)  # the worker needs the processor more
        raise AssertionError(f"no worker computes {run_id}")

    def workers_of(self, run_id: str) -> list[int]:
        """The worker processes with the run's id in their name."""
        return [pid for pid in self.workers() if _comm(pid) == f"qr:{run_id[:12]}"]

    def wait_for_bytes(self, run_id: str) -> None:
        """Return when an uncommitted file of the run has grown."""
        results = self.made.home / "results"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                if any(path.stat().st_size > 0 for path in results.rglob(f"*{run_id}*")):
                    return
        raise AssertionError(f"no file of {run_id} has begun")

    def submit_until_killed(self, after_s: float) -> list[str]:
        """Submit without pause. Kill the server with SIGKILL `after_s` after the first response.

        Returns the ids of the accepted runs.
        """
        accepted: list[str] = [self.submit("SELECT 1")["id"]]
        killer = threading.Timer(after_s, self.process.kill)
        killer.start()
        with contextlib.suppress(httpx.TransportError):
            while True:
                accepted.append(self.submit("SELECT 1")["id"])
        self.process.wait()
        return accepted

    def result_files(self) -> list[str]:
        """The names of all files in the home's result store, committed or not."""
        results = self.made.home / "results"
        return sorted(path.name for path in results.rglob("*") if path.is_file())

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill the process if it still runs, and release its resources."""
        self.http.close()
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def terminate(self) -> int:
        """SIGTERM. Returns the exit status after an orderly shutdown."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=100)


@dataclass
class ServerHarness:
    """A home and the servers that were started on it."""

    made: MadeHome
    log: Path
    servers: list[Server] = field(default_factory=list)

    def serve(
        self, environ: Mapping[str, str] | None = None, program: Sequence[str] = PROGRAM
    ) -> Server:
        """Start a server process on the home and wait until it is ready."""
        command = [sys.executable, "-m", *program, "--home", str(self.made.home)]
        process, url = start_serving(command, self.log, environ)
        http = httpx.Client(base_url=url, timeout=60)
        authorize(http, self.made.issued)
        server = Server(process, url, http, self.made)
        self.servers.append(server)
        return server

    def refused_to_serve(self) -> str:
        """Start another server on the home, which has to exit with 1. Returns its stderr."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "queryrun.cli", "serve"),
                *("--home", str(self.made.home), "--port", "0"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 1
        return done.stderr

    def exit_status_at_start(self, program: Sequence[str]) -> int:
        """Start a server that exits before it is ready. Returns its exit status."""
        command = [sys.executable, "-m", *program, "--home", str(self.made.home), "--port", "0"]
        environ = os.environ | QUICK
        done = subprocess.run(command, capture_output=True, timeout=120, env=environ, check=False)
        return done.returncode

    @contextmanager
    def as_client(self, server: Server, issued: IssuedSecret) -> Iterator[httpx.Client]:
        """An HTTP client with the token of another API client."""
        with httpx.Client(base_url=server.url, timeout=60) as http:
            authorize(http, issued)
            yield http

    def close(self) -> None:
        """Kill whatever still runs."""
        for server in self.servers:
            server.close()


def wait_logged(log: Path, *words: str) -> str:
    """The log, once it has all of these words. A server's log is written a little later than what
    it tells of: by a thread of its own."""
    deadline = time.monotonic() + 60
    while any(one not in (text := log.read_text()) for one in words):
        assert time.monotonic() < deadline, f"not all of {words} in the log:\n{text[-4000:]}"
        time.sleep(0.02)
    return text


def start_serving(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None, port: int = 0
) -> tuple[subprocess.Popen[str], str]:
    """Start a server process on a free loopback port, or on this one. Returns it and its URL once
    it listens."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | QUICK | dict(environ or {}),
        )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("listening"):
            return process, line.split()[-1]
    process.communicate()  # closes the pipe: an open one would be charged to a later test
    raise AssertionError(log.read_text())


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ServerHarness]:
    """A fresh home without sample data. Every server on it is killed afterwards."""
    harness = ServerHarness(
        init_home(tmp_path / "home", entity="main", factor=None), tmp_path / "log"
    )
    yield harness
    harness.close()


@pytest.fixture
def serve(harness: ServerHarness) -> Callable[..., Server]:
    """Start a server on the home."""
    return harness.serve


@pytest.fixture(scope="session")
def common_harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHarness]:
    """A home without tables and a server with the default settings, for all tests of a process
    that do nothing to them that another would notice: most of a test's time would be the start."""
    directory = tmp_path_factory.mktemp("common")
    harness = ServerHarness(
        init_home(directory / "home", entity="main", factor=None), directory / "log"
    )
    harness.serve()
    yield harness
    harness.close()


@pytest.fixture
def common(common_harness: ServerHarness) -> Iterator[Server]:
    """That server as a client of the test's own, which sees no other test's runs. What a failed
    test leaves running is canceled."""
    (server,) = common_harness.servers
    issued = create(server.made.home, NewClient(["main"], name="test"))
    with common_harness.as_client(server, issued) as http:
        own = replace(server, http=http, made=replace(server.made, issued=issued))
        yield own
        own.cancel_unfinished()


def authorize(http: httpx.Client, issued: IssuedSecret) -> None:
    """Get a token and set it on the client."""
    form = {
        "grant_type": "client_credentials",
        "client_id": issued.client.id,
        "client_secret": issued.secret,
    }
    token = http.post("/oauth/token", data=form).json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used (proc(5), fields 14 and 15)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield int(child)
        yield from _descendants(int(child))
