"""Probes of engines: what an engine itself reports that it runs.

A probe queries the engine and not the service, so that it cannot repeat a mistake of the service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from queryrun.cancel_suite.http import Http

_TERMINAL_STATES = {"FINISHED", "FAILED"}


_NAME = re.compile(r"queryrun-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+")
"""The name of remote work (docs/cancel.md#on-several-nodes-and-remote-engines)."""


class Probe(Protocol):
    """Reads what an engine runs."""

    async def active(self) -> frozenset[str]:
        """The ids of runs that the engine computes, or has queued, now."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class NoProbe:
    """For the embedded engine, which is the worker process: see `processes.py`."""

    async def active(self) -> frozenset[str]:
        """Nothing runs remotely."""
        return frozenset()

    def close(self) -> None:
        """There is no connection."""


def run_ids(texts: Mapping[str, object] | list[str] | str) -> frozenset[str]:
    """The ids of the runs that an engine's response names."""
    return frozenset(_NAME.findall(str(texts)))


class TrinoProbe:
    """Reads Trino's list of queries (`GET /v1/query`). The source of a query names its run."""

    def __init__(self, url: str) -> None:
        self._http = Http(url)

    async def active(self) -> frozenset[str]:
        """Runs with a query that has not finished, queued ones included."""
        headers = {"x-trino-user": "cancel-suite"}
        response = await self._http.request("GET", "/v1/query", b"", headers)
        if response.status != 200:
            raise RuntimeError(f"Trino does not list its queries: {response.status}")
        queries: list[dict[str, Any]] = json.loads(response.body)
        unfinished = [query for query in queries if query.get("state") not in _TERMINAL_STATES]
        return run_ids([str(query.get("session", {}).get("source")) for query in unfinished])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class SparkProbe:
    """Reads Spark's running jobs from its web UI's API. The tags of a job name its run."""

    def __init__(self, ui_url: str) -> None:
        self._http = Http(ui_url)
        self._application = ""

    async def active(self) -> frozenset[str]:
        """Runs with a job that is running."""
        if not self._application:
            (application,) = await self._get("/api/v1/applications")
            self._application = str(application["id"])
        jobs = await self._get(f"/api/v1/applications/{self._application}/jobs?status=running")
        return run_ids(json.dumps(jobs))

    async def _get(self, path: str) -> list[dict[str, Any]]:
        response = await self._http.request("GET", path)
        if response.status != 200:
            raise RuntimeError(f"Spark's web UI does not list its jobs: {response.status}")
        found: list[dict[str, Any]] = json.loads(response.body)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
