"""Eyes for Trino and Spark: what they say themselves about what they run."""

from __future__ import annotations

import json
from typing import Any

from queryrun.cancel_suite.engine import run_ids
from queryrun.cancel_suite.http import Http

_ENDED = {"FINISHED", "FAILED"}


class TrinoEyes:
    """Trino's list of queries (`GET /v1/query`); the source of a query names its run."""

    def __init__(self, url: str) -> None:
        self._http = Http(url)

    async def active(self) -> frozenset[str]:
        """Runs with a query that has not ended, queued ones included."""
        headers = {"x-trino-user": "cancel-suite"}
        answer = await self._http.ask("GET", "/v1/query", b"", headers)
        if answer.status != 200:
            raise RuntimeError(f"Trino does not tell its queries: {answer.status}")
        queries: list[dict[str, Any]] = json.loads(answer.body)
        going = [query for query in queries if query.get("state") not in _ENDED]
        return run_ids([str(query.get("session", {}).get("source")) for query in going])

    def close(self) -> None:
        """Hang up."""
        self._http.close()


class SparkEyes:
    """Spark's running jobs (REST of its web UI); their tags name their run."""

    def __init__(self, ui_url: str) -> None:
        self._http = Http(ui_url)
        self._application = ""

    async def active(self) -> frozenset[str]:
        """Runs with a job that is running."""
        if not self._application:
            (application,) = await self._ask("/api/v1/applications")
            self._application = str(application["id"])
        jobs = await self._ask(f"/api/v1/applications/{self._application}/jobs?status=running")
        return run_ids(json.dumps(jobs))

    async def _ask(self, path: str) -> list[dict[str, Any]]:
        answer = await self._http.ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"Spark's web UI does not tell its jobs: {answer.status}")
        told: list[dict[str, Any]] = json.loads(answer.body)
        return told

    def close(self) -> None:
        """Hang up."""
        self._http.close()
