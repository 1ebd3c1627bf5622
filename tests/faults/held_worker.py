"""A worker that blocks at a point that the test names, and ignores interrupts there.

The statement names the hold_point in a comment: `SELECT 1 /* hold planning */`. While its source is
being opened there is no statement yet, so there a file in the entity's data directory does it.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from queryrun.engines.base import (
    EngineLimits,
    EngineProgress,
    EngineSession,
    EngineUsage,
    RowFilter,
    Rows,
)
from queryrun.engines.duckdb.session import open_session as open_duckdb
from queryrun.engines.statements import opened_for
from queryrun.results.local import LocalResultStore, LocalResultWriter
from queryrun.results.store import SharedFile
from queryrun.sql.trino.markers import Value
from queryrun.worker.entry import SourceSession
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import NodeServices, Report

HEADERS_BYTES = 100_000
"""Archives and encrypted files begin with bytes of their own, before the first row."""
OPENING_MARK = "hold-opening.txt"


def hold() -> NoReturn:
    """Never return: only a kill ends this."""
    while True:
        threading.Event().wait()


class HoldPoint:
    """Where the present statement blocks."""

    name = ""

    def hold_at(self, name: str) -> None:
        """Block if this is the point."""
        if self.name == name:
            hold()


def open_session(config: WorkerConfig, _node: NodeServices) -> SourceSession:
    """The real engine and store, held at the point that the statement names."""
    if Path(config.source.options["data_dir"], OPENING_MARK).exists():
        hold()
    limits = EngineLimits(config.memory_bytes, config.threads, config.spill_dir, config.spill_bytes)
    engine = open_duckdb(config.source.options, limits, config.time_zone)
    results = HeldResults(Path(config.results.options["directory"]))
    return HeldSession(engine, results, config)


def main(control: socket.socket) -> NoReturn:
    """The entry point of a worker that may be held."""
    run_worker(control, open_session)


class HeldSession(SourceSession):
    """Sets where to block, then runs as the real one."""

    def __init__(self, engine: EngineSession, results: HeldResults, config: WorkerConfig) -> None:
        held, opened = HeldEngine(engine, results.hold_point), partial(opened_for, config.source)
        super().__init__(held, results, config.time_zone, opened)
        self._hold_point = results.hold_point

    def run(self, execute: Execute, report: Report) -> Done:
        """As the real one, with the point of this statement."""
        named = re.search(r"/\* hold (\w+) \*/", execute.sql)
        self._hold_point.name = named.group(1) if named else ""
        return super().run(execute, report)


class HeldEngine:
    """An engine session that may be held while it plans."""

    def __init__(self, engine: EngineSession, hold_point: HoldPoint) -> None:
        self._engine = engine
        self._hold_point = hold_point
        self.output_path = engine.output_path

    def plan(
        self,
        statement: str,
        row_filter: RowFilter | None = None,
        name: str = "",
        values: Sequence[Value] = (),
    ) -> Rows:
        """Held at `planning`."""
        self._hold_point.hold_at("planning")
        return self._engine.plan(statement, row_filter, name, values)

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """As the real one."""
        return self._engine.failure_of(error, relation_at)

    def verify_rows(self) -> None:
        """Nothing to verify."""

    def interrupt(self) -> None:
        """As the real one."""
        self._engine.interrupt()

    def progress(self) -> EngineProgress:
        """As the real one."""
        return self._engine.progress()

    def usage(self) -> EngineUsage:
        """As the real one."""
        return self._engine.usage()

    def renew(self) -> bool:
        """As the real one."""
        return self._engine.renew()

    def close(self) -> None:
        """As the real one."""
        self._engine.close()


class HeldResults(LocalResultStore):
    """A directory whose writers may be held."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.hold_point = HoldPoint()

    def open(self, key: str) -> LocalResultWriter:
        """A writer that may be held."""
        return HeldWriter(self._path(key), self._unfinished(key), self.hold_point)


class HeldWriter(LocalResultWriter):
    """Held at `writing` (amid its bytes), `uploading` (before the commit) or `committed`."""

    def __init__(self, path: Path, unfinished: Path, hold_point: HoldPoint) -> None:
        super().__init__(path, unfinished)
        self._hold_point = hold_point
        self._written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes arrive, then it may be held."""
        super().write(data)
        self._written += len(data)
        if self._written > HEADERS_BYTES:
            self._hold_point.hold_at("writing")

    def share(self, path: str) -> SharedFile | None:
        """The engine writes the file by itself; the concurrent reader may be held."""
        shared = super().share(path)
        return None if shared is None else replace(shared, on_growth=self._held_when_grown)

    def _held_when_grown(self, size_bytes: int) -> None:
        if size_bytes > HEADERS_BYTES:
            self._hold_point.hold_at("writing")

    def commit(self) -> None:
        """Held before, or after the file is there for all to see."""
        self._hold_point.hold_at("uploading")
        super().commit()
        self._hold_point.hold_at("committed")
