"""One Trino for all tests of a run, in any process; it stops with the last of them.

Each user holds a shared lock on a file of the run's directory. The first one starts a
keeper, which starts Trino and then waits for the exclusive lock: it gets it when the last user
exits, even if that one was killed. Without a server tests are skipped, in CI they fail.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest

from queryrun.engines.base import RemoteEndpoint
from tests import trino_process
from tests.differential.trino_client import TrinoClient, TrinoResult
from tests.s3_server import CREDENTIALS, PROGRAM, S3Server
from tests.s3_server import running as running_s3
from tests.server_start import started

STATE_BOUND_S = 30.0
"""How long a query may take to come into a state, or to end."""
POLL_S = 0.01
"""Between two questions to the server. Trino notifies nobody of a query's end, and some states
last a few milliseconds."""
_USERS, _ADDRESS, _FAILURE, _FILES = "users", "address", "trouble", "files"


@dataclass(frozen=True, slots=True)
class TrinoServer:
    """A running server."""

    url: str
    files: Path
    """Beneath it lie the tables of its catalog `files`."""
    spool_url: str
    """The object store by way of which it hands out results; empty: there is none."""

    def options(self, **changes: str) -> dict[str, str]:
        """A source's options. Where the server spools, results come from `spool_url`."""
        spool = {"spool_url": self.spool_url} if self.spool_url else {}
        return {"url": self.url, "catalog": "memory", "schema": "default", **spool, **changes}

    def endpoint(self, **changes: str) -> RemoteEndpoint:
        """The same for remote stops."""
        return RemoteEndpoint(self.options(**changes))

    def new_schema(self) -> str:
        """A schema of the memory catalog that no other test uses."""
        schema = f"t{uuid4().hex[:12]}"
        self.make(f"CREATE SCHEMA memory.{schema}")
        return schema

    def offer(self, schema: str, data: Path) -> None:
        """Make the Parquet files of a directory readable as tables of `files.<schema>`."""
        self.make(f"CREATE SCHEMA IF NOT EXISTS files.{schema}")
        for file in sorted(data.glob("*.parquet")):
            endpoint = self.files / schema / file.stem
            endpoint.mkdir(parents=True)
            shutil.copy(file, endpoint)
            described = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(file)]).fetchall()
            columns = ", ".join(f'"{column}" {_hives(kind)}' for column, kind, *_ in described)
            self.make(
                f"CREATE TABLE files.{schema}.{file.stem} ({columns}) WITH (format = 'PARQUET', "
                f"external_location = 'local:///{schema}/{file.stem}')"
            )

    def query(self, statement: str) -> TrinoResult:
        """A statement that bypasses the engine: as another user, with the tests' own client."""
        with TrinoClient(self.url) as client:
            return client.query(statement)

    def make(self, statement: str) -> None:
        """Run a statement that must succeed."""
        result = self.query(statement)
        assert not result.error, result.message

    def wait_until_none_is_alive(
        self, name: str, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Return when no query of that source is left; do something before each further poll."""
        deadline = time.monotonic() + STATE_BOUND_S
        while self.alive(name):
            assert time.monotonic() < deadline, f"{name} is still alive"
            meanwhile()
            time.sleep(POLL_S)

    def wait_until_alive(self, name: str, states: Collection[str] = ()) -> None:
        """Return when a query of that source is alive, in one of these states if any are named."""
        deadline = time.monotonic() + STATE_BOUND_S
        while not (alive := self.alive(name)) or (states and not set(states) & set(alive)):
            assert time.monotonic() < deadline, f"{name} is {alive or 'not alive'}"
            time.sleep(POLL_S)

    def alive(self, name: str) -> list[str]:
        """The states of the unfinished queries of that source, as the engine sees them."""
        result = self.query(
            "SELECT state FROM system.runtime.queries "
            f"WHERE source = '{name}' AND state NOT IN ('FINISHED', 'FAILED')"
        )
        assert not result.error, result.message
        return [str(state) for (state,) in result.rows]


@pytest.fixture(scope="session")
def trino_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrinoServer]:
    """The server of this test run."""
    missing = trino_process.what_is_missing()
    if missing:
        if os.environ.get("CI") and not os.environ.get("WITHOUT_ENGINES"):
            pytest.fail(missing)
        pytest.skip(missing)
    directory = _directory_of_run(tmp_path_factory)
    with started("Trino", shared(directory), directory.with_suffix(".failed")) as server:
        yield server


@contextmanager
def shared(directory: Path) -> Iterator[TrinoServer]:
    """The server in `directory`; started unless it runs already."""
    directory.mkdir(exist_ok=True)
    with (directory / _USERS).open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        _start_once(directory)
        url, spool_url = _wait_for(directory)
        yield TrinoServer(url, directory / _FILES, spool_url)


def _hives(duckdb_type: str) -> str:
    """Trino's hive connector knows no zoned timestamps in Parquet: these are read as local ones."""
    kind, _, rest = duckdb_type.partition("(")
    names = {
        "FLOAT": "real",
        "BLOB": "varbinary",
        "TIMESTAMP": "timestamp(3)",
        "TIMESTAMP WITH TIME ZONE": "timestamp(3)",
    }
    return names.get(kind, kind) + (f"({rest}" if rest else "")


def _directory_of_run(factory: pytest.TempPathFactory) -> Path:
    """The same for all worker processes of one pytest."""
    base = factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "trino"


def _start_once(directory: Path) -> None:
    with (directory / "starting").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if (directory / "keeper").exists():
            return
        (directory / "keeper").touch()
        subprocess.Popen(
            [sys.executable, "-m", "tests.trino_server", str(directory)],
            cwd=Path(__file__).parent.parent,
            start_new_session=True,
        ).returncode = 0  # it outlives us if others use it; it is not waited for here


def _wait_for(directory: Path) -> tuple[str, str]:
    deadline = time.monotonic() + trino_process.START_S
    while time.monotonic() < deadline:
        if (directory / _FAILURE).exists():
            raise RuntimeError((directory / _FAILURE).read_text())
        if (directory / _ADDRESS).exists():
            url, _, spool_url = (directory / _ADDRESS).read_text().partition(" ")
            return url, spool_url
        time.sleep(0.1)
    raise TimeoutError("Trino has not started")


# --- the keeper -----------------------------------------------------------------------------


def keep(directory: Path) -> None:
    """Start Trino, and stop it when no process uses it any more."""
    with (directory / _USERS).open("w") as users:
        try:
            with _everything(directory) as (url, spool_url):
                _write(directory / _ADDRESS, f"{url} {spool_url}")
                fcntl.flock(users, fcntl.LOCK_EX)
                (directory / _ADDRESS).unlink()
                (directory / "keeper").unlink()
        except Exception as error:
            _write(directory / _FAILURE, str(error))
            raise


@contextmanager
def _everything(directory: Path) -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        spool = spool_url = ""
        if PROGRAM.exists():
            (directory / "s3").mkdir(exist_ok=True)
            server = stack.enter_context(running_s3(directory / "s3"))
            spool, spool_url = _spool(server), server.endpoint
        (directory / _FILES).mkdir()
        catalogs = {"files": trino_process.files_catalog(directory / _FILES)}
        options = trino_process.Options(trino_process.CATALOGS | catalogs, spool=spool)
        yield stack.enter_context(trino_process.running(options)), spool_url


def _spool(server: S3Server) -> str:
    """Where Trino spools results to: a bucket of the S3 server that other tests use too."""
    endpoint = server.new_bucket()
    return (
        "spooling-manager.name=filesystem\nfs.s3.enabled=true\n"
        f"fs.location=s3://{endpoint.bucket}/\nfs.segment.encryption=false\n"
        f"s3.endpoint={server.endpoint}\ns3.region=us-east-1\ns3.path-style-access=true\n"
        f"s3.aws-access-key={CREDENTIALS.access_key_id}\n"
        f"s3.aws-secret-key={CREDENTIALS.secret_access_key}\n"
    )


def _write(path: Path, text: str) -> None:
    """Atomically: other processes are reading it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    keep(parser.parse_args().directory)
