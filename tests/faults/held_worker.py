"""A worker that stops dead at a place a test names, and heeds no interrupt there.

The statement names the place in a comment: `SELECT 1 /* hold planning */`. While its source is
being opened there is no statement yet, so there a file in the entity's data directory does it.
"""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from queryrun.engines.base import EngineLimits, EngineProgress, EngineSession, RowFilter, Rows
from queryrun.engines.duckdb.session import open_session as open_duckdb
from queryrun.results.local import LocalResultStore, LocalResultWriter
from queryrun.results.store import SharedFile
from queryrun.worker.entry import SourceSession
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import Report

HEADERS_BYTES = 100_000
"""Archives and encrypted files begin with bytes of their own, before the first row."""
OPENING_MARK = "hold-opening.txt"


def hold() -> NoReturn:
    """Never come back: only a kill ends this."""
    while True:
        threading.Event().wait()


class Place:
    """Where the present statement is to be held."""

    name = ""

    def hold_at(self, name: str) -> None:
        """Stop dead if this is the place."""
        if self.name == name:
            hold()


def open_session(config: WorkerConfig) -> SourceSession:
    """The real engine and store, held where the statement says."""
    if Path(config.source.options["data_dir"], OPENING_MARK).exists():
        hold()
    limits = EngineLimits(config.memory_bytes, config.threads, config.spill_dir, config.spill_bytes)
    engine = open_duckdb(config.source.options, limits, config.time_zone)
    results = HeldResults(Path(config.results.options["directory"]))
    return HeldSession(engine, results, config.time_zone)


def main(control: socket.socket) -> NoReturn:
    """The entry point of a worker that may be held."""
    run_worker(control, open_session)


class HeldSession(SourceSession):
    """Tells the parts where to hold, then runs as always."""

    def __init__(self, engine: EngineSession, results: HeldResults, time_zone: str) -> None:
        super().__init__(HeldEngine(engine, results.place), results, time_zone)
        self._place = results.place

    def run(self, execute: Execute, report: Report) -> Done:
        """As always, but for the place."""
        named = re.search(r"/\* hold (\w+) \*/", execute.statement)
        self._place.name = named.group(1) if named else ""
        return super().run(execute, report)


class HeldEngine:
    """An engine session that may be held while it plans."""

    def __init__(self, engine: EngineSession, place: Place) -> None:
        self._engine = engine
        self._place = place
        self.output_path = engine.output_path

    def plan(self, statement: str, row_filter: RowFilter | None = None, name: str = "") -> Rows:
        """Held at `planning`."""
        self._place.hold_at("planning")
        return self._engine.plan(statement, row_filter, name)

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """As always."""
        return self._engine.failure_of(error, relation_at)

    def interrupt(self) -> None:
        """As always."""
        self._engine.interrupt()

    def progress(self) -> EngineProgress:
        """As always."""
        return self._engine.progress()

    def renew(self) -> bool:
        """As always."""
        return self._engine.renew()

    def close(self) -> None:
        """As always."""
        self._engine.close()


class HeldResults(LocalResultStore):
    """A directory whose writers may be held."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.place = Place()

    def open(self, key: str) -> LocalResultWriter:
        """A writer that may be held."""
        return HeldWriter(self._path(key), self._unfinished(key), self.place)


class HeldWriter(LocalResultWriter):
    """Held at `writing` (amid its bytes), `uploading` (before the commit) or `committed`."""

    def __init__(self, path: Path, unfinished: Path, place: Place) -> None:
        super().__init__(path, unfinished)
        self._place = place
        self._written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes arrive, then it may be held."""
        super().write(data)
        self._written += len(data)
        if self._written > HEADERS_BYTES:
            self._place.hold_at("writing")

    def share(self, path: str) -> SharedFile | None:
        """The engine writes the file by itself; whoever reads along may be held."""
        shared = super().share(path)
        return None if shared is None else replace(shared, on_growth=self._held_when_grown)

    def _held_when_grown(self, size_bytes: int) -> None:
        if size_bytes > HEADERS_BYTES:
            self._place.hold_at("writing")

    def commit(self) -> None:
        """Held before, or after the file is there for all to see."""
        self._place.hold_at("uploading")
        super().commit()
        self._place.hold_at("committed")
