"""Tables of a directory, read through a session as statements read them."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import Failure, RunFailed


class Reading:
    """One data directory and a session over it."""

    def __init__(self, root: Path, time_zone: str = "UTC") -> None:
        self.data, spill = root / "data", root / "spill"
        self.data.mkdir()
        spill.mkdir()
        limits = EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)
        self.session: DuckDBSession = open_session(
            {"data_dir": str(self.data), "dialect": "trino"}, limits, time_zone
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement, verified as a run's are."""
        rows = self.session.plan(sql, RowFilter(marks_deleted=False))
        found = rows.connection.execute(rows.relation).fetchall()
        self.session.verify_rows()
        return found

    def failure(self, sql: str) -> Failure:
        """The failure of a statement."""
        try:
            rows = self.rows(sql)
        except RunFailed as failed:
            return failed.failure
        except Exception as error:
            translated = self.session.failure_of(error)
            if isinstance(translated, RunFailed):
                return translated.failure
            raise
        raise AssertionError(f"no failure, but {rows[:5]}")


def hide_package(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As on a machine where the package is not installed."""
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith(package):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
