"""A real Spark for tests: a standalone cluster of a master and two workers, and its Connect server.

`make spark-server` fetches it into .cache/spark: apart from our own environment, since its
package and `pyspark-client` claim the same name. Where it is missing its tests are skipped, in CI
they fail. One cluster serves all processes of a test run: the first one starts a keeper, which
stops everything once no process holds the lock on its `users` file; a lock ends with its process.

By hand: `python -m tests.spark_server [--local] [--data DIRECTORY]` prints where it is and stays.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from queryrun.processes.child_setup import die_with_parent
from tests.ports import free_port
from tests.server_start import started

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".cache" / "spark" / "pyspark"
OLDEST_JAVA = 17
START_BOUND_S = 220.0
"""Of each of its processes. Twenty seconds are usual, more on a slow and busy machine."""
_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_DEPLOY = "org.apache.spark.deploy"
_WORKERS = 2
_FOUND = "server.json"
_USERS = "users"


@dataclass(frozen=True, slots=True)
class SparkServer:
    """A running server: where statements go, and where it reports what it is doing."""

    url: str
    ui_url: str


@pytest.fixture(scope="session")
def spark_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    """The one cluster of this test run; it is shared, so make your own schema.

    SPARK_TEST_SERVER, what this program prints when it is started by hand, names another one.
    """
    if named := os.environ.get("SPARK_TEST_SERVER"):
        yield SparkServer(*named.split())
        return
    reason = reason_against()
    if reason and os.environ.get("CI") and not os.environ.get("WITHOUT_ENGINES"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with started("Spark", shared_cluster(shared / "spark"), shared / "spark.failed") as server:
        yield server


def reason_against() -> str | None:
    """Why no server can be started here; None: it can."""
    if not HOME.exists():
        return "Spark is not there; `make spark-server` fetches it"
    if java_home() is None:
        return f"Spark needs Java {OLDEST_JAVA} or newer (JAVA_HOME)"
    return None


@contextmanager
def shared_cluster(directory: Path) -> Iterator[SparkServer]:
    """A cluster kept in `directory` by its own process, as long as any process uses it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / _USERS).open("w") as users:
        with (directory / "start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            server = _found(directory) or _start_keeper(directory)
        yield server


@contextmanager
def running(directory: Path, *, is_local: bool = False, token: str = "") -> Iterator[SparkServer]:
    """Start the servers, with their files in `directory`, and stop them afterwards.

    `is_local`: one process that computes by itself, cheaper but no cluster. With a `token` it
    takes calls that bring it and no others.
    """
    with ExitStack() as ending:
        if is_local:
            yield _start_connect(ending, directory, "local[2]", token)
            return
        master = _start_master(ending, directory)
        for number in range(1, _WORKERS + 1):
            _start_worker(ending, directory, master, number)
        yield _start_connect(ending, directory, master)


def java_home() -> Path | None:
    """A Java that Spark runs on: JAVA_HOME, the one on the path, or one in the usual directory."""
    named, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    candidates = [Path(named)] if named else []
    candidates += [Path(on_path).resolve().parent.parent] if on_path else []
    candidates += sorted(Path("/usr/lib/jvm").glob("*"))
    return next((home for home in candidates if _java_version(home) >= OLDEST_JAVA), None)


def sql(server: SparkServer, *statements: str) -> None:
    """Run commands that only a test may run (`CREATE TABLE …`), in a session of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Spark's client about pandas 3
        from pyspark.sql import SparkSession

        session = SparkSession.builder.remote(server.url).create()
    try:
        for statement in statements:
            session.sql(statement)
    finally:
        session.stop()


def register(server: SparkServer, data: Path, schema: str = "default") -> None:
    """Make a table of every Parquet file in `data`, named like the file."""
    tables = sorted(data.absolute().glob("*.parquet"))
    sql(
        server,
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        *(
            f"CREATE TABLE {schema}.`{table.stem}` USING parquet LOCATION '{table.as_uri()}'"
            for table in tables
        ),
    )


@dataclass(frozen=True, slots=True)
class _Process:
    """A server that we have started, and where it logs."""

    popen: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        """Return when `is_done`; fail, with its last words, when the server ends or takes ages."""
        deadline = time.monotonic() + START_BOUND_S
        while not is_done():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                last_words = self.log.read_text(errors="replace")[-2000:]
                raise AssertionError(f"{self.log.stem} has ended or does not answer: {last_words}")
            time.sleep(0.1)

    def wait_for_port(self, port: int) -> None:
        """Return when it takes connections there."""
        self.wait_until(lambda: _accepts_connections(port))


# --- the processes --------------------------------------------------------------------------


def _start_master(ending: ExitStack, directory: Path) -> str:
    port, ui_port = free_port(), free_port()
    where = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(ui_port)]
    command = ["spark-class", f"{_DEPLOY}.master.Master", *where]
    process = ending.enter_context(_process(directory, "master", command))
    process.wait_for_port(port)
    return f"spark://127.0.0.1:{port}"


def _start_worker(ending: ExitStack, directory: Path, master: str, number: int) -> None:
    name = f"worker-{number}"
    ports = ["--port", str(free_port()), "--webui-port", str(free_port())]
    size = ["--cores", "1", "--memory", "700m", "--work-dir", str(directory / name)]
    where = ["--host", "127.0.0.1", *ports, *size, master]
    command = ["spark-class", f"{_DEPLOY}.worker.Worker", *where]
    ending.enter_context(_process(directory, name, command))


def _start_connect(ending: ExitStack, directory: Path, master: str, token: str = "") -> SparkServer:
    port, ui_port = free_port(), free_port()
    settings = {
        "spark.master": master,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "600m",
        "spark.executor.memoryOverhead": "64m",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.port": str(ui_port),
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
        "spark.sql.shuffle.partitions": "4",
        # A task that ignores its interrupt is killed with its executor: otherwise an endless
        # join would keep its core forever (docs/how-to/spark.md).
        "spark.task.reaper.enabled": "true",
        "spark.task.reaper.pollingInterval": "250ms",
        "spark.task.reaper.killTimeout": "1s",
        "spark.task.maxFailures": "8",
    }
    given = [part for item in settings.items() for part in ("--conf", "=".join(item))]
    command = ["spark-submit", "--class", _CONNECT_SERVER, *given]
    more = {"SPARK_CONNECT_AUTHENTICATE_TOKEN": token} if token else {}
    process = ending.enter_context(_process(directory, "connect", command, "900m", more))
    process.wait_for_port(port)
    server = SparkServer(f"sc://127.0.0.1:{port}", f"http://127.0.0.1:{ui_port}")
    if not master.startswith("local"):
        _wait_for_executors(server, process)
    return server


@contextmanager
def _process(
    directory: Path,
    name: str,
    command: Sequence[str],
    heap: str = "192m",
    more: Mapping[str, str] | None = None,
) -> Iterator[_Process]:
    """A server and its children, in their own process group; all of it is gone afterwards."""
    keeper = os.getpid()
    log_path = directory / f"{name}.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [str(HOME / "bin" / command[0]), *command[1:]],
            env={**_environ(directory), "SPARK_DAEMON_MEMORY": heap, **(more or {})},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(keeper),
        )
    try:
        yield _Process(process, log_path)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environ(directory: Path) -> Mapping[str, str]:
    """Loopback, small heaps, one process script that does not go into the background."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "JAVA_HOME": str(java_home()),
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(directory / "local"),
        "SPARK_MASTER_OPTS": "-Dspark.deploy.maxExecutorRetries=-1",
        # The first compiler alone starts sooner, but brings its own limit of 48 MB for code, which
        # one server of a whole test run fills ("Out of space in CodeCache for adapters").
        "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
        " -XX:ReservedCodeCacheSize=240m",
        "TZ": "UTC",
    }


def _java_version(home: Path) -> int:
    with suppress(OSError):
        for line in (home / "release").read_text().splitlines():
            if found := re.match(r'JAVA_VERSION="(\d+)', line):
                return int(found[1]) if (home / "bin" / "java").exists() else 0
    return 0


# --- waiting --------------------------------------------------------------------------------


def _accepts_connections(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait_for_executors(server: SparkServer, process: _Process) -> None:
    """Until both workers compute for the server; before that a statement would only wait."""

    def are_there() -> bool:
        with suppress(OSError):
            (application,) = _api(server, "/applications")
            executors = _api(server, f"/applications/{application['id']}/executors")
            return len(executors) > _WORKERS  # the driver is listed too
        return False

    process.wait_until(are_there)


def _api(server: SparkServer, path: str) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{server.ui_url}/api/v1{path}", timeout=5) as response:  # noqa: S310
        listed: list[dict[str, object]] = json.load(response)
        return listed


# --- the keeper -----------------------------------------------------------------------------


def _found(directory: Path) -> SparkServer | None:
    with suppress(OSError):
        return SparkServer(**json.loads((directory / _FOUND).read_text()))
    return None


def _start_keeper(directory: Path) -> SparkServer:
    """Start a keeper. It must outlive this process: others may use its cluster."""
    command = [sys.executable, "-m", "tests.spark_server", "--keep", str(directory)]
    log_path = directory / "keeper.log"
    with log_path.open("w") as log:
        keeper = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    _Process(keeper, log_path).wait_until((directory / _FOUND).exists)
    threading.Thread(target=keeper.wait, daemon=True).start()  # reaps it, whenever it ends
    server = _found(directory)
    assert server, "the Spark server has gone again"
    return server


def _keep(directory: Path) -> None:
    """Run a cluster until no process locks `users` any more."""
    work = directory / "work"
    work.mkdir()
    with running(work) as server, (directory / _USERS).open("w") as users:
        partial = directory / f"{_FOUND}.partial"
        partial.write_text(json.dumps(asdict(server)))
        partial.rename(directory / _FOUND)
        fcntl.flock(users, fcntl.LOCK_EX)
        (directory / _FOUND).unlink()
    shutil.rmtree(work, ignore_errors=True)


def _stay(directory: Path, data: Path | None, *, is_local: bool) -> None:
    with running(directory, is_local=is_local) as server:
        if data:
            register(server, data)
        print(server.url, server.ui_url, flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="A Spark Connect server for tests")
    parser.add_argument("--local", action="store_true", help="one process instead of a cluster")
    parser.add_argument("--data", type=Path, help="a directory whose Parquet files become tables")
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep:
        _keep(options.keep)
        return
    if reason := reason_against():
        raise SystemExit(reason)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True) as directory:
        _stay(Path(directory), options.data, is_local=options.local)


if __name__ == "__main__":
    main()
