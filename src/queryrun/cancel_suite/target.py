"""The server under test: its HTTP interface, and its processes if it runs on this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from queryrun.cancel_suite.engine import Engine
from queryrun.cancel_suite.http import Http, Response
from queryrun.cancel_suite.processes import ServerProcesses
from queryrun.cancel_suite.statements import EngineStatements

TERMINAL_STATES = frozenset({"complete", "failed", "canceled"})


class UnexpectedResponse(Exception):
    """A response that is outside of the guarantee."""


@dataclass(frozen=True, slots=True)
class Access:
    """The server's URL and the credentials for it."""

    url: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Local:
    """What can be inspected because the server runs on this machine."""

    processes: ServerProcesses
    home: Path | None = None

    @property
    def results(self) -> Path | None:
        """The directory of result files, when known."""
        return self.home / "results" if self.home else None

    @property
    def spill(self) -> Path | None:
        """The directory of spill files, when known."""
        return self.home / "spill" if self.home else None


class Target:
    """The server as the classes use it. `local` is None for a server on another machine."""

    def __init__(
        self, http: Http, local: Local | None, slots: int, engine: Engine | None = None
    ) -> None:
        self.http = http
        self.local = local
        self.slots = slots
        self.engine = engine or Engine()

    @property
    def statements(self) -> EngineStatements:
        """The statements for its engine."""
        return self.engine.statements

    async def submit(self, sql: str, content_type: str = "csv", **more: Any) -> str:
        """Submit a statement; returns the run's id. `UnexpectedResponse` when it is refused."""
        body = json.dumps({"sql": sql, "content_type": content_type} | more).encode()
        response = await self.http.request("POST", "/v2/query_runs", body)
        if response.status != 201:
            raise UnexpectedResponse(f"submit: {response.status} {response.body[:200]!r}")
        return str(response.json()["id"])

    async def cancel(
        self, run_id: str, headers: Mapping[str, str] | None = None, fields: str = ""
    ) -> Response:
        """Cancel a run; returns any response, also an error."""
        query = f"?{urlencode({'fields[]': fields})}" if fields else ""
        return await self.http.request(
            "POST", f"/v2/query_runs/{run_id}/cancel{query}", b"", headers
        )

    async def read(self, run_id: str, fields: str = "", wait_s: int = 0) -> dict[str, Any]:
        """Read the run; with `wait_s` when it has finished, or after that many seconds."""
        query = f"?{urlencode({'fields[]': fields})}" if fields else ""
        headers = {"prefer": f"wait={wait_s}"} if wait_s else None
        response = await self.http.request("GET", f"/v2/query_runs/{run_id}{query}", b"", headers)
        if response.status != 200:
            raise UnexpectedResponse(f"read: {response.status} {response.body[:200]!r}")
        return response.json()

    async def wait_finished(
        self, run_id: str, fields: str = "", timeout_s: int = 60
    ) -> dict[str, Any]:
        """The run when it has finished, or as it is after `timeout_s`."""
        for _ in range(max(1, timeout_s // 10)):
            run = await self.read(run_id, fields, wait_s=10)
            if run["state"] in TERMINAL_STATES:
                break
        return run


@asynccontextmanager
async def connected(
    access: Access, local: Local | None, slots: int, engine: Engine | None = None
) -> AsyncIterator[Target]:
    """An authorized target. Closes its connections with the block."""
    http = Http(access.url)
    try:
        http.authorization = f"Bearer {await _token(http, access)}"
        yield Target(http, local, slots, engine)
    finally:
        http.close()


async def _token(http: Http, access: Access) -> str:
    """Gets a token as clients do, so that the suite needs no access to the database."""
    form = {
        "grant_type": "client_credentials",
        "client_id": access.client_id,
        "client_secret": access.client_secret,
    }
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await http.request("POST", "/oauth/token", urlencode(form).encode(), headers)
    if response.status != 200:
        raise UnexpectedResponse(f"token: {response.status} {response.body[:200]!r}")
    return str(response.json()["access_token"])
