"""A home, and real server processes on it: started, used over HTTP, killed, started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from queryrun.auth.model import IssuedSecret
from queryrun.cli.home import MadeHome, init_home
from queryrun.runs.model import StopReason
from queryrun.runs.store import CancelRequested
from queryrun.settings import load
from queryrun.wiring.database import open_database
from tests.s3_server import s3_server as s3_server  # a fixture of theirs

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
"""Short leases and back-offs, so that what takes a minute in production takes a second here."""

RUNAWAY = "SELECT list_sum(range(200000000))"
"""Heeds no interrupt: only a kill ends it, long before it would end by itself."""


PROGRAM = ("queryrun.cli", "serve")
"""The module that is run as a server; a test may put a broken one in its place."""


@dataclass
class Server:
    """One server process and an authorised client of it."""

    process: subprocess.Popen[str]
    url: str
    http: httpx.Client
    made: MadeHome

    def submit(self, sql: str, content_type: str = "csv", **more: Any) -> dict[str, Any]:
        answer = self.http.post(
            "/v2/query_runs", json={"sql": sql, "content_type": content_type} | more
        )
        assert answer.status_code == 201, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def get(self, run_id: str, fields: str = "") -> dict[str, Any]:
        params = {"fields[]": fields} if fields else {}
        answer = self.http.get(f"/v2/query_runs/{run_id}", params=params)
        assert answer.status_code == 200, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def cancel(self, run_id: str, **headers: str) -> httpx.Response:
        return self.http.post(f"/v2/query_runs/{run_id}/cancel", headers=headers)

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run once it has ended; the server does the waiting. A 503 means to come again."""
        for _ in range(20):
            answer = self.http.get(f"/v2/query_runs/{run_id}", headers={"prefer": "wait=10"})
            run: dict[str, Any] = answer.json()
            if answer.status_code != 503 and run["state"] in {"complete", "failed", "canceled"}:
                return run
        raise AssertionError(f"run {run_id} did not end: {run}")

    def file_text(self, run: dict[str, Any]) -> str:
        """The result file, fetched as a stranger with the link would."""
        answer = httpx.get(run["file"]["url"])
        assert answer.status_code == 200, answer.text
        return answer.text

    def workers(self) -> list[int]:
        """Every process below the server."""
        return list(_descendants(self.process.pid))

    def computing_worker(self, run_id: str, besides: int = 0) -> int:
        """The worker of a run, once it has used some CPU: workers carry the run's id in their name.

        Reads the process table until then, which costs time but waits for nothing but the truth.
        """
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for pid in self.workers():
                named = pid != besides and _comm(pid) == f"qr:{run_id[:12]}"
                if named and _cpu_s(pid) > 0.3:
                    return pid
        raise AssertionError(f"no worker computes {run_id}")

    def workers_of(self, run_id: str) -> list[int]:
        """The worker processes that carry the run's id in their name."""
        return [pid for pid in self.workers() if _comm(pid) == f"qr:{run_id[:12]}"]

    def wait_for_bytes(self, run_id: str) -> None:
        """Return when a file of the run, not yet committed, has begun to grow."""
        results = self.made.home / "results"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):  # gone between the look and the question
                if any(path.stat().st_size > 0 for path in results.rglob(f"*{run_id}*")):
                    return
        raise AssertionError(f"no file of {run_id} has begun")

    def submit_until_killed(self, after_s: float) -> list[str]:
        """Submit without pause until kill -9 falls, `after_s` after the first answer.

        Returns the runs that were answered.
        """
        answered: list[str] = [self.submit("SELECT 1")["id"]]
        killer = threading.Timer(after_s, self.process.kill)
        killer.start()
        with contextlib.suppress(httpx.TransportError):
            while True:
                answered.append(self.submit("SELECT 1")["id"])
        self.process.wait()
        return answered

    def result_files(self) -> list[str]:
        """The names of all files in the home's result store, committed or not."""
        results = self.made.home / "results"
        return sorted(path.name for path in results.rglob("*") if path.is_file())

    def kill(self) -> None:
        """kill -9: no goodbye."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it if it still runs, and let go of it."""
        self.http.close()
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def end(self) -> int:
        """SIGTERM, and the exit status after an orderly end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=100)


@dataclass
class House:
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

    def write_cancel(self, run_id: str) -> None:
        """What a cancel writes first, as another process would write it; nothing is stopped."""
        settings = load(self.made.home, {})

        async def write() -> None:
            database = open_database(settings, lambda: datetime.now(UTC))
            try:
                await database.runs.cancel(run_id, CancelRequested(StopReason.USER, "test"))
            finally:
                database.close()

        asyncio.run(write())

    def refused_to_serve(self) -> str:
        """Start another server on the home, which must end by itself; what it said."""
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "queryrun.cli", "serve"),
                *("--home", str(self.made.home), "--port", "0"),
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode == 1
        return ended.stderr

    def ended_at_start(self, program: Sequence[str]) -> int:
        """Start a server that ends by itself before it is ready; its exit status."""
        command = [sys.executable, "-m", *program, "--home", str(self.made.home), "--port", "0"]
        environ = os.environ | QUICK
        done = subprocess.run(command, capture_output=True, timeout=60, env=environ, check=False)
        return done.returncode

    @contextmanager
    def as_client(self, server: Server, issued: IssuedSecret) -> Iterator[httpx.Client]:
        """The server as another client sees it."""
        with httpx.Client(base_url=server.url, timeout=60) as http:
            authorize(http, issued)
            yield http

    def close(self) -> None:
        """End whatever still runs."""
        for server in self.servers:
            server.close()


def start_serving(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[str], str]:
    """Start a server process on a free loopback port; it and its URL, once it listens."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | QUICK | dict(environ or {}),
        )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("listening"):
            return process, line.split()[-1]
    raise AssertionError(log.read_text())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A fresh home without sample data; every server on it is ended afterwards."""
    house = House(init_home(tmp_path / "home", entity="main", factor=None), tmp_path / "log")
    yield house
    house.close()


@pytest.fixture
def serve(house: House) -> Callable[..., Server]:
    """Start a server on the home."""
    return house.serve


def authorize(http: httpx.Client, issued: IssuedSecret) -> None:
    """Give the client a token of its own."""
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
