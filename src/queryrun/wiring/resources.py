"""Settings -> what a node owns outside its memory: home, database, worker pool, result store."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.db.database import Database
from queryrun.extras import require_extra
from queryrun.processes.fork_client import Roles
from queryrun.processes.sandbox import SandboxMode
from queryrun.results.credentials import RotatingCredentials
from queryrun.results.store import ResultStore
from queryrun.runs.clock import ForwardClock
from queryrun.runs.context import Workers
from queryrun.runs.store import RunStore
from queryrun.settings import LOCK_NAME, SPILL_NAME, Settings
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.wiring.database import open_database
from queryrun.wiring.home_lock import HomeLock
from queryrun.wiring.options import pool_options, utc_now
from queryrun.wiring.results import make_directory, result_credentials, result_store
from queryrun.worker.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class NodeResources:
    """The resources of a node. Tests replace `runs`, `workers` and `results`."""

    lock: HomeLock
    database: Database
    pool: WorkerPool
    runs: RunStore
    workers: Workers
    results: ResultStore
    credentials: RotatingCredentials | None
    """Of the S3 store; None for results in a directory."""


def open_resources(
    settings: Settings,
    roles: Roles = CHILD_ROLES,
    sandbox: SandboxMode = SandboxMode.BEST_EFFORT,
) -> NodeResources:
    """Lock the home, open and migrate the database, create the worker pool (not started).

    Raises `ConfigurationError` when another node serves the same home.
    """
    _require_engines(settings)
    credentials = result_credentials(settings)
    lock = HomeLock(settings.path(LOCK_NAME))
    make_directory(settings.path(SPILL_NAME), "the home")
    database = open_database(settings, ForwardClock(utc_now).now)
    pool = WorkerPool(pool_options(settings, sandbox), roles)
    results = result_store(settings, credentials, database.clock.now)
    return NodeResources(lock, database, pool, database.runs, pool, results, credentials)


def _require_engines(settings: Settings) -> None:
    """Said at the start: a source whose library is missing would only ever be reported as down."""
    for name, source in settings.sources.items():
        require_extra(source.engine, f"sources.{name} has the engine {source.engine}")
