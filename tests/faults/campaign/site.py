"""The service under attack: one server on SQLite and a disk, or two nodes on PostgreSQL and S3."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import httpx2 as httpx
import psycopg

from queryrun.cli.home import init_home
from queryrun.settings import DATABASE_NAME
from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server, ServerHarness, authorize
from tests.faults.campaign.shim import SLOW_TABLE, Shim
from tests.faults.campaign.tcp_proxy import TcpProxy
from tests.postgres_server import PostgresServer
from tests.postgres_server import running as postgres_running
from tests.s3_proxy import FaultProxy, fault_proxy
from tests.s3_server import running as s3_running

SQLITE, POSTGRES = "sqlite", "postgres"
SLOTS = 3
SETTINGS = {
    "QUERYRUN_WORKERS__SLOTS": str(SLOTS),
    "QUERYRUN_WORKERS__WARM": "1",
    "QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "1",
    "QUERYRUN_SOURCES__LIVE__RUNNING_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
    "QUERYRUN_SOURCES__LIVE__THREADS": "1",
}
SLOW_ROWS = 100_000
_SLOW_ROW_GROUP = 5_000
READY_TIMEOUT_S = 60.0
"""For a busy machine: what has to come back comes back in seconds."""


class Site(ABC):
    """A running service, and what the campaign does to it from outside."""

    store: str
    server: Server
    """The node that faults meet."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self.stack = ExitStack()
        self.shim = Shim(root)
        self.stack.callback(self.shim.close)
        self.log = root / "log"

    @abstractmethod
    def open(self) -> None:
        """Start everything that the site consists of."""

    @abstractmethod
    def start(self) -> None:
        """Start the node that faults meet, with the library preloaded. Raises if it refuses."""

    @abstractmethod
    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Read the database itself."""

    @abstractmethod
    def nodes(self) -> list[Server]:
        """The servers of the site, whether they run or not."""

    def has_worker(self, run_id: str) -> bool:
        """Whether a child process of a node works for the run. Cheaper than `workers_named`."""
        return any(node.workers_of(run_id) for node in self.nodes())

    @property
    def environ(self) -> Mapping[str, str]:
        """What a node of the site is started with."""
        return SETTINGS | self.shim.environ

    def restart_if_gone(self) -> None:
        """Start the node again when it has exited."""
        if self.server.process.poll() is not None:
            self.server.close()
            self.start()

    def kill_node(self) -> None:
        """SIGKILL."""
        self.server.process.kill()
        self.server.process.wait()

    @contextmanager
    def stopped(self, pids: list[int]) -> Iterator[None]:
        """These processes stand still."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def call(self, method: str, path: str, timeout_s: float = 10.0, **more: Any) -> httpx.Response:
        """A request to the node, as a client makes it: a token that has expired is replaced."""
        http = self.server.http
        response = http.request(method, path, timeout=timeout_s, **more)
        if response.status_code == 401:
            authorize(http, self.server.made.issued)
            response = http.request(method, path, timeout=timeout_s, **more)
        return response

    def readiness(self) -> tuple[int, dict[str, str]]:
        """Status and checks; 0 when nobody answers."""
        try:
            response = self.server.http.get("/readyz", timeout=10)
            return response.status_code, response.json()["checks"]
        except (httpx.HTTPError, ValueError, KeyError):
            return 0, {}

    def log_size(self) -> int:
        """Bytes of the log so far."""
        return self.log.stat().st_size if self.log.exists() else 0

    def logged_since(self, position: int) -> str:
        """What was logged after that."""
        with self.log.open("rb") as file:
            file.seek(position)
            return file.read().decode("utf-8", "replace")

    def close(self) -> None:
        """End everything."""
        self.stack.close()

    def __enter__(self) -> Site:
        try:
            self.open()
        except BaseException:  # whatever ends it: nothing of it is left
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SqliteSite(Site):
    """One server. Its store and its results are files."""

    store = SQLITE

    def open(self) -> None:
        made = init_home(self.root / "home", entity="main", factor=None)
        self.home = made.home
        self.database = made.home / DATABASE_NAME
        write_slow_table(made.data_dir)
        self.harness = ServerHarness(made, self.log)
        self.stack.callback(self.harness.close)
        self.start()

    def start(self) -> None:
        self.server = self.harness.serve(
            self.environ, program=("tests.faults.campaign.server", "serve")
        )

    def nodes(self) -> list[Server]:
        return [self.server]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database, timeout=20)) as connection:
            return connection.execute(statement).fetchall()


class PostgresSite(Site):
    """Two nodes. Faults meet one of them, and the ways of it to the database and the bucket."""

    store = POSTGRES

    def open(self) -> None:
        root = self.root
        (root / "s3").mkdir()
        self.postgres: PostgresServer = self.stack.enter_context(postgres_running())
        s3 = self.stack.enter_context(s3_running(root / "s3"))
        self.bucket_proxy: FaultProxy = self.stack.enter_context(fault_proxy(s3.endpoint))
        self.proxy = TcpProxy(self.postgres.port)
        self.stack.callback(self.proxy.close)
        self.cluster = Cluster.over(self.postgres, s3.new_bucket(), root)
        self.stack.callback(self.cluster.close)
        self.cluster.environ["QUERYRUN_RESULTS__ENDPOINT"] = self.bucket_proxy.endpoint
        write_slow_table(self.cluster.made.data_dir)
        self.other = self._start_node(SETTINGS | self.shim.slow_disk)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self.stack.callback(self._disconnect)
        self.start()

    def start(self) -> None:
        url = f"postgresql://postgres@127.0.0.1:{self.proxy.port}/{self._database}"
        (self.root / "proxied.url").write_text(url)
        environ = {
            **self.environ,
            "QUERYRUN_DATABASE__URL_FILE": str(self.root / "proxied.url"),
        }
        self.server = self._start_node(environ)

    def _start_node(self, environ: Mapping[str, str]) -> Server:
        program = ("-m", "tests.faults.campaign.server", "serve")
        return self.cluster.start("api,worker", environ, program=program)

    def nodes(self) -> list[Server]:
        return [self.server, self.other]

    @property
    def _database(self) -> str:
        return self.cluster.url.rpartition("/")[2]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """By a connection that is kept, and made anew when a fault has met it."""
        try:
            return self._query(statement)
        except psycopg.OperationalError:
            self._disconnect()
            return self._query(statement)

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = psycopg.connect(self.cluster.url, autocommit=True)
        return self._connection.execute(statement.encode()).fetchall()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


SITES: dict[str, Callable[[Path, int], Site]] = {SQLITE: SqliteSite, POSTGRES: PostgresSite}


def write_slow_table(data: Path) -> None:
    """A table whose row groups are each a wait for the disk."""
    path = data / f"{SLOW_TABLE}.parquet"
    query = f"SELECT i FROM range({SLOW_ROWS}) t(i)"
    options = f"FORMAT parquet, ROW_GROUP_SIZE {_SLOW_ROW_GROUP}"
    with duckdb.connect() as writer:
        writer.execute(f"COPY ({query}) TO '{path}' ({options})")


def workers_named(run_id: str) -> list[int]:
    """Processes of this machine that carry the run's name and are no zombies."""
    return [pid for pid, name in _names() if name == f"qr:{run_id[:12]}" and not _is_dead(pid)]


def _names() -> Iterator[tuple[int, str]]:
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - often, so it is cheap
        with suppress(OSError), open(f"/proc/{name}/comm") as file:  # noqa: PTH123
            yield int(name), file.read().strip()


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(holds: Callable[[], bool], timeout_s: float) -> bool:
    """Poll: other processes do it. False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True
