"""A home served by a real server process for the length of a measurement."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from queryrun.cli.home import init_home

NO_LIMITS = {
    "QUERYRUN_RATES__PRESET": "off",
    "QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "0",
    "QUERYRUN_SOURCES__LIVE__RUNNING_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
    "QUERYRUN_SOURCES__LIVE__DIALECT": "native",
    "QUERYRUN_LOG__LEVEL": "warning",
}
"""Benchmarks raise limits by configuration, never in code."""


@dataclass(frozen=True)
class Served:
    """A running server, an authorised client, and how long it took to be ready."""

    url: str
    port: int
    pid: int
    token: str
    http: httpx.Client
    ready_s: float
    home: Path
    client_id: str
    client_secret: str

    def submit(self, sql: str, content_type: str = "csv", **more: Any) -> dict[str, Any]:
        """Submit a statement; returns the accepted run."""
        body = {"sql": sql, "content_type": content_type} | more
        return self._json(self.http.post("/v2/query_runs", json=body))

    def submit_and_wait(self, sql: str, content_type: str = "csv", **more: Any) -> dict[str, Any]:
        """Submit and return the run when it has finished (`Prefer: wait`), in one request."""
        body = {"sql": sql, "content_type": content_type} | more
        response = self.http.post("/v2/query_runs", json=body, headers={"prefer": "wait=60"})
        return self._until_finished(self._json(response))

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Cancel a run; returns the run in the response."""
        return self._json(self.http.post(f"/v2/query_runs/{run_id}/cancel"))

    def read(self, run_id: str, fields: str = "") -> dict[str, Any]:
        """Read the run with the requested fields."""
        params = {"fields[]": fields} if fields else {}
        return self._json(self.http.get(f"/v2/query_runs/{run_id}", params=params))

    def _until_finished(self, run: dict[str, Any]) -> dict[str, Any]:
        while run["state"] in {"accepted", "in_progress"}:
            response = self.http.get(f"/v2/query_runs/{run['id']}", headers={"prefer": "wait=60"})
            run = self._json(response)
        return run

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        if response.status_code >= 400:
            raise RuntimeError(f"{response.status_code}: {response.text}")
        data: dict[str, Any] = response.json()
        return data


@contextmanager
def served(
    environ: Mapping[str, str] | None = None, database_url_file: Path | None = None
) -> Iterator[Served]:
    """Create a home, serve it on a free loopback port, and leave nothing running.

    With `database_url_file` on the PostgreSQL whose URL it holds.
    """
    with tempfile.TemporaryDirectory(prefix="queryrun-bench-") as directory:
        made = init_home(
            Path(directory) / "home",
            entity="main",
            factor=None,
            database_url_file=database_url_file,
        )
        began = time.monotonic()
        with (Path(directory) / "server.log").open("w") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "queryrun.cli", "serve", "--home", str(made.home)),
                    *("--host", "127.0.0.1", "--port", "0"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=dict(os.environ) | NO_LIMITS | dict(environ or {}),
            )
        try:
            url = _announced(process)
            with httpx.Client(base_url=url, timeout=120) as http:
                _wait_ready(http)
                ready_s = time.monotonic() - began
                pair = (made.issued.client.id, made.issued.secret)
                token = _token(http, *pair)
                http.headers["authorization"] = f"Bearer {token}"
                port = int(url.rsplit(":", 1)[1])
                yield Served(url, port, process.pid, token, http, ready_s, made.home, *pair)
        finally:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("listening"):
            return line.split()[-1]
    raise RuntimeError("the server ended before it listened")


def _wait_ready(http: httpx.Client) -> None:
    while http.get("/readyz").status_code != 200:
        time.sleep(0.01)


def _token(http: httpx.Client, client_id: str, secret: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    response = http.post("/oauth/token", data=form)
    response.raise_for_status()
    return str(response.json()["access_token"])
