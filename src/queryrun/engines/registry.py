"""The kinds of engine, one entry each: what an engine can do, what it needs, where its code is.

All other code asks this registry; nothing else compares names of engines. Importing this module
imports no engine: an entry names its functions as `module:function`, and they are imported on
first use, because some client libraries take half a second.

docs/contributing/add-an-engine.md adds an entry step by step.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from queryrun.engines.base import (
    Catalog,
    CatalogOpener,
    CopiesWriter,
    EngineLimits,
    EngineSession,
    GiveSocket,
    Inspector,
    InspectorOpener,
    RelayConnection,
    RelayedSessionOpener,
    RemoteEngine,
    RemoteOpener,
    SessionOpener,
)
from queryrun.engines.estimates import Estimator, EstimatorOpener
from queryrun.sql.guard.verdict import GuardName
from queryrun.tables.text.requests import CopiesRequest

TRINO_DIALECT = "trino"
NATIVE_DIALECT = "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """One engine. Entry points are `module:function`."""

    name: str
    """The value of the setting `sources.NAME.engine`."""
    is_remote: bool
    """True: statements run in other processes, reached over the network, and the entry has
    `remote`. False: statements run in the worker process, over the entity's files."""
    session: str
    """An `SessionOpener`."""
    catalog: str
    """An `CatalogOpener`."""
    estimator: str = ""
    """An `EstimatorOpener`. Empty: nobody knows what a statement would read."""
    remote: str = ""
    """An `RemoteOpener`, for engines with `is_remote`."""
    copies: str = ""
    """A `CopiesWriter`, for engines that read copies of text files."""
    inspector: str = ""
    """An `InspectorOpener`, for engines that read files."""
    relay: str = ""
    """A `RelayConnection`, for engines with `is_remote`: a worker reaches the engine through its
    relay alone, which has the secret, and `session` is a `RelayedSessionOpener`."""
    connections: Mapping[str, str] = field(default_factory=dict)
    """With `relay`: the options that hold a URL which a worker may reach, by name of connection;
    `engine` is the one that is relayed."""
    dialects: tuple[str, ...] = (TRINO_DIALECT, NATIVE_DIALECT)
    """The values of the setting `sources.NAME.dialect` that the engine supports."""
    native_guard: GuardName
    """Which guard checks statements in the engine's own dialect when they are submitted."""
    required_urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The settings that must hold a URL, and how each URL may begin."""
    is_preloaded: bool = False
    """Whether the fork server imports the entry points once, instead of each worker. Only for
    modules that start no thread: a process with threads cannot be forked safely, and `pyarrow`
    starts two."""
    database_suffix: str = ""
    """What a `data` path ends in that names a database file and not a directory of files."""

    def guard(self, dialect: str) -> GuardName:
        """Which guard checks a statement in this dialect."""
        return "trino" if dialect == TRINO_DIALECT else self.native_guard

    def is_database(self, path: Path) -> bool:
        """Whether a source's `data` path names a database file of this engine."""
        return bool(self.database_suffix) and path.suffix == self.database_suffix

    def open_session(
        self,
        options: Mapping[str, str],
        limits: EngineLimits,
        time_zone: str = "UTC",
        secret: str | None = None,
        give: GiveSocket | None = None,
    ) -> EngineSession:
        """Open one entity's source for statements. Raises `RunFailed` when it cannot be opened.

        `give` is where a session of an engine with `relay` gets its connections; None: it makes
        them itself.
        """
        if self.relay:
            relayed: RelayedSessionOpener = _load(self.session)
            return relayed(options, limits, time_zone, secret, give=give)
        opener: SessionOpener = _load(self.session)
        return opener(options, limits, time_zone, secret)

    def relay_connection(
        self, connection: socket.socket, options: Mapping[str, str], secret: str | None
    ) -> None:
        """Serve one connection of a worker until it is closed. For engines with `relay`."""
        serve: RelayConnection = _load(self.relay)
        serve(connection, options, secret)

    def prepare_relay(self) -> None:
        """Import what a relay needs, so that the first connection does not wait for it."""
        if self.relay:
            _load(self.relay)

    def open_catalog(self, options: Mapping[str, str], secret: str | None = None) -> Catalog:
        """Open one entity's list of tables. Raises `RunFailed` when it cannot be opened."""
        opener: CatalogOpener = _load(self.catalog)
        return opener(options, secret)

    def open_estimator(
        self, options: Mapping[str, str], secret: str | None, work_dir: str, time_zone: str
    ) -> Estimator:
        """What estimates statements on one entity's source. Raises `RunFailed` when it cannot be
        opened, and `ValueError` for an engine without one."""
        if not self.estimator:
            raise ValueError(f"{self.name} does not say what a statement would read")
        opener: EstimatorOpener = _load(self.estimator)
        return opener(options, secret, work_dir, time_zone)

    def write_copies(
        self, options: Mapping[str, str], limits: EngineLimits, request: CopiesRequest
    ) -> None:
        """Make the copies of a table's text files (`CopiesWriter`). `ValueError` for an engine
        that reads none."""
        if not self.copies:
            raise ValueError(f"{self.name} reads no copies")
        write: CopiesWriter = _load(self.copies)
        write(options, limits, request)

    def inspect(self, data_dir: Path) -> Inspector:
        """What reads a directory of files for the operator. `ValueError` if the engine cannot."""
        if not self.inspector:
            raise ValueError(f"{self.name} reads no files")
        opener: InspectorOpener = _load(self.inspector)
        return opener(data_dir)

    def open_remote(self) -> RemoteEngine:
        """The engine as the remote-stop service uses it. Raises `ValueError` if not remote."""
        if not self.is_remote:
            raise ValueError(f"{self.name} runs in the worker process")
        opener: RemoteOpener = _load(self.remote)
        return opener()


_HTTP = ("http://", "https://")

_KINDS = (
    EngineKind(
        name="duckdb",
        is_remote=False,
        session="queryrun.engines.duckdb.session:open_session",
        catalog="queryrun.engines.duckdb.catalog:open_catalog",
        estimator="queryrun.engines.duckdb.estimate:open_estimator",
        copies="queryrun.engines.duckdb.copies:write_copies",
        inspector="queryrun.engines.duckdb.inspect:DuckDBInspector",
        native_guard="duckdb",
        is_preloaded=True,
        database_suffix=".duckdb",
    ),
    EngineKind(
        name="trino",
        is_remote=True,
        session="queryrun.engines.trino.session:open_session",
        catalog="queryrun.engines.trino.catalog:open_catalog",
        estimator="queryrun.engines.trino.estimate:open_estimator",
        remote="queryrun.engines.trino.remote:TrinoRemote",
        relay="queryrun.engines.trino.relay:serve_connection",
        connections={"engine": "url", "spool": "spool_url"},
        native_guard="trino",
        required_urls={"url": _HTTP},
    ),
    EngineKind(
        name="spark",
        is_remote=True,
        session="queryrun.engines.spark.session:open_session",
        catalog="queryrun.engines.spark.catalog:open_catalog",
        estimator="queryrun.engines.spark.estimate:open_estimator",
        remote="queryrun.engines.spark.remote:SparkRemote",
        relay="queryrun.engines.spark.relay:serve_connection",
        connections={"engine": "url"},
        native_guard="session",
        required_urls={"url": ("sc://",), "ui_url": _HTTP},
    ),
)

ENGINES: Mapping[str, EngineKind] = {kind.name: kind for kind in _KINDS}
"""All engines by name."""
DEFAULT_ENGINE = "duckdb"
"""The engine of a source that names none."""


def preload() -> None:
    """Import the engines that are imported once, before workers are forked."""
    for kind in ENGINES.values():
        if kind.is_preloaded:
            _load(kind.session)
            _load(kind.catalog)
            _load(kind.estimator)
            _load(kind.copies)


def _load(entry_point: str) -> Any:
    module, _, name = entry_point.partition(":")
    return getattr(import_module(module), name)
