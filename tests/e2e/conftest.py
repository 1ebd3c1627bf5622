"""A home, and real server processes on it: started, used over HTTP, killed, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from queryrun.cli.home import MadeHome, init_home

QUICK = {
    "QUERYRUN_LEASES__LEASE_S": "3",
    "QUERYRUN_LEASES__HEARTBEAT_S": "0.5",
    "QUERYRUN_LEASES__REAP_EVERY_S": "0.5",
    "QUERYRUN_RETRIES__FIRST_S": "0.05",
    "QUERYRUN_RETRIES__MOST_S": "0.2",
    "QUERYRUN_RATES__PRESET": "off",
    "QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "0",
}
"""Short leases and back-offs, so that what takes a minute in production takes a second here."""

RUNAWAY = "SELECT list_sum(range(500000000))"
"""Heeds no interrupt: only a kill ends it."""


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
        """The run once it has ended; the server does the waiting."""
        for _ in range(20):
            answer = self.http.get(f"/v2/query_runs/{run_id}", headers={"prefer": "wait=10"})
            run: dict[str, Any] = answer.json()
            if run["state"] in {"complete", "failed", "canceled"}:
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

    def kill(self) -> None:
        """kill -9: no goodbye."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM, and the exit status after an orderly end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@dataclass
class House:
    """A home and the servers that were started on it."""

    made: MadeHome
    log: Path
    servers: list[Server] = field(default_factory=list)

    def serve(self, environ: Mapping[str, str] | None = None) -> Server:
        """Start a server process on the home and wait until it is ready."""
        command = [sys.executable, "-m", "queryrun.cli", "serve", "--home", str(self.made.home)]
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | QUICK | dict(environ or {}),
            )
        server = self._connect(process)
        self.servers.append(server)
        return server

    def _connect(self, process: subprocess.Popen[str]) -> Server:
        assert process.stdout is not None
        url = ""
        for line in process.stdout:
            if line.strip().startswith("listening"):
                url = line.split()[-1]
                break
        assert url, self.log.read_text()
        http = httpx.Client(base_url=url, timeout=60)
        form = {
            "grant_type": "client_credentials",
            "client_id": self.made.issued.client.id,
            "client_secret": self.made.issued.secret,
        }
        token = http.post("/oauth/token", data=form).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        return Server(process, url, http, self.made)

    def close(self) -> None:
        """End whatever still runs."""
        for server in self.servers:
            server.http.close()
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
            if server.process.stdout is not None:
                server.process.stdout.close()


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


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return
    for child in children:
        yield int(child)
        yield from _descendants(int(child))
