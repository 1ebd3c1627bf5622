"""The few lines of Trino's client protocol that the judge needs: a statement in, its result out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx


@dataclass(frozen=True, slots=True)
class TrinoResult:
    """A server's result for a statement: columns and rows as JSON, or an error's name."""

    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    error: str = ""
    """Trino's name for what went wrong (`DIVISION_BY_ZERO`, …); empty when nothing did."""
    message: str = ""


class TrinoClient:
    """Runs statements on one server, in the schema of the judge's tables, as a session in UTC."""

    def __init__(
        self,
        url: str,
        time_zone: str = "UTC",
        schema: str = "default",
        catalog: str = "memory",
        session: str = "",
    ) -> None:
        self._http = httpx.Client(timeout=120)
        self._url = url
        self._headers = {
            "x-trino-user": "judge",
            "x-trino-catalog": catalog,
            "x-trino-schema": schema,
            "x-trino-time-zone": time_zone,
            "x-trino-client-capabilities": "PARAMETRIC_DATETIME,PATH",
        }
        if session:
            self._headers["x-trino-session"] = session

    def __enter__(self) -> TrinoClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def is_up(self) -> bool:
        """Whether the server has finished starting."""
        try:
            return self._http.get(f"{self._url}/v1/info").json().get("starting") is False
        except (httpx.TransportError, ValueError):
            return False

    def wait(self, seconds: float) -> None:
        """Return when a statement succeeds; `TimeoutError` after the given seconds."""
        deadline = time.monotonic() + seconds
        while not (self.is_up() and not self.query("SELECT 1").error):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._url} does not answer")
            time.sleep(1)

    def query(self, statement: str, max_rows: int = 0) -> TrinoResult:
        """Run one statement to its end; after `max_rows` (0: no limit) it is `TOO_MANY_ROWS`."""
        page = self._http.post(
            f"{self._url}/v1/statement", content=statement.encode(), headers=self._headers
        ).json()
        columns: list[tuple[str, str]] = []
        rows: list[list[Any]] = []
        while True:
            if "error" in page:
                return TrinoResult(
                    error=page["error"]["errorName"], message=page["error"]["message"]
                )
            columns = [(c["name"], c["type"]) for c in page.get("columns", [])] or columns
            rows += page.get("data", [])
            if max_rows and len(rows) > max_rows:
                if "nextUri" in page:
                    self._http.delete(page["nextUri"], headers=self._headers)
                return TrinoResult(columns, error="TOO_MANY_ROWS")
            if "nextUri" not in page:
                return TrinoResult(columns, rows)
            page = self._http.get(page["nextUri"], headers=self._headers).json()

    def run_command(self, statement: str) -> None:
        """Run a statement that must succeed; `SystemExit` with the error otherwise."""
        result = self.query(statement)
        if result.error:
            raise SystemExit(f"{statement[:80]}: {result.message}")
