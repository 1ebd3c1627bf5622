"""The server under test: its HTTP contract, and its processes where they are ours to see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from queryrun.cancel_suite.engine import Engine
from queryrun.cancel_suite.http import Answer, Http
from queryrun.cancel_suite.processes import ServerProcesses
from queryrun.cancel_suite.statements import Words

ENDED = frozenset({"complete", "failed", "canceled"})


class Unexpected(Exception):
    """The server answered something that no promise of the guarantee is about."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is, and as whom to speak to it."""

    url: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Local:
    """What can be looked at because the server runs on this machine."""

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
    """What the classes speak to. `local` is None for a server elsewhere."""

    def __init__(
        self, http: Http, local: Local | None, slots: int, engine: Engine | None = None
    ) -> None:
        self.http = http
        self.local = local
        self.slots = slots
        self.engine = engine or Engine()

    @property
    def words(self) -> Words:
        """How its engine is spoken to."""
        return self.engine.words

    async def submit(self, sql: str, content_type: str = "csv", **more: Any) -> str:
        """Submit a statement; the run's id. `Unexpected` when it is refused."""
        body = json.dumps({"sql": sql, "content_type": content_type} | more).encode()
        answer = await self.http.ask("POST", "/v2/query_runs", body)
        if answer.status != 201:
            raise Unexpected(f"submit: {answer.status} {answer.body[:200]!r}")
        return str(answer.json()["id"])

    async def cancel(
        self, run_id: str, headers: Mapping[str, str] | None = None, fields: str = ""
    ) -> Answer:
        """Ask for a cancel; the answer as it is."""
        query = f"?{urlencode({'fields[]': fields})}" if fields else ""
        return await self.http.ask("POST", f"/v2/query_runs/{run_id}/cancel{query}", b"", headers)

    async def read(self, run_id: str, fields: str = "", wait_s: int = 0) -> dict[str, Any]:
        """The run as it is, or when it has ended or `wait_s` are over."""
        query = f"?{urlencode({'fields[]': fields})}" if fields else ""
        headers = {"prefer": f"wait={wait_s}"} if wait_s else None
        answer = await self.http.ask("GET", f"/v2/query_runs/{run_id}{query}", b"", headers)
        if answer.status != 200:
            raise Unexpected(f"read: {answer.status} {answer.body[:200]!r}")
        return answer.json()

    async def ended(self, run_id: str, fields: str = "", within_s: int = 60) -> dict[str, Any]:
        """The run at its end, or as it is after `within_s`."""
        for _ in range(max(1, within_s // 10)):
            run = await self.read(run_id, fields, wait_s=10)
            if run["state"] in ENDED:
                break
        return run


@asynccontextmanager
async def connected(
    access: Access, local: Local | None, slots: int, engine: Engine | None = None
) -> AsyncIterator[Target]:
    """An authorised target; hangs up at the end."""
    http = Http(access.url)
    try:
        http.authorization = f"Bearer {await _token(http, access)}"
        yield Target(http, local, slots, engine)
    finally:
        http.close()


async def _token(http: Http, access: Access) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": access.client_id,
        "client_secret": access.client_secret,
    }
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await http.ask("POST", "/oauth/token", urlencode(form).encode(), headers)
    if answer.status != 200:
        raise Unexpected(f"token: {answer.status} {answer.body[:200]!r}")
    return str(answer.json()["access_token"])
