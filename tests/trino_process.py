"""A real Trino of our own: fetched once from Maven Central, started on a free port of 127.0.0.1.

`python -m tests.trino_process` (`make trino-server`) fetches `io.trino:trino-server` with `mvn`
and keeps the server and the few plugins that tests need in .cache/trino. It needs Java 24 or
newer, from JAVA_HOME or the usual directories. `tests/trino_server.py` shares a running one.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx

from tests.differential.suite import TRINO_VERSION as VERSION
from tests.ports import free_port

OLDEST_JAVA = 24
START_S = 280
"""What a start may take. 20 to 40 s are usual, three times as long on a slow and busy machine."""
CACHE = Path(__file__).parent.parent / ".cache" / "trino" / VERSION
_PLUGINS = ("memory", "tpch", "tpcds", "hive", "spooling-filesystem", "password-authenticators")
_JAVA_PATTERNS = ("usr/lib/jvm/*", "opt/java/*", "opt/*jdk*", "Library/Java/JavaVirtualMachines/*")
CATALOGS = {
    "memory": "connector.name=memory\nmemory.max-data-per-node=512MB\n",
    "tpch": "connector.name=tpch\ntpch.column-naming=STANDARD\ntpch.double-type-mapping=DECIMAL\n",
}


def files_catalog(directory: Path) -> str:
    """A catalog of the hive connector over Parquet files beneath a local directory."""
    return (
        "connector.name=hive\nhive.metastore=file\nhive.metastore.catalog.dir=local:///metastore\n"
        "hive.security=allow-all\nhive.parquet.time-zone=UTC\n"
        f"fs.native-local.enabled=true\nlocal.location={directory}\n"
    )


@dataclass(frozen=True, slots=True)
class Options:
    """What one server has in addition: catalogs by name, more settings and files, a spool."""

    catalogs: Mapping[str, str] = field(default_factory=lambda: CATALOGS)
    config: str = ""
    spool: str = ""
    """`spooling-manager.properties`; without it results come the direct way only."""
    files: Mapping[str, str] = field(default_factory=dict)
    """More files of its `etc`, by name: `config` finds them as `etc/<name>`."""
    heap: str = "2G"
    processors: int = 1


def what_is_missing() -> str:
    """Why no server can be started here; empty when one can."""
    if not _is_whole():
        return "Trino is not there; `make trino-server` fetches it"
    if java() is None:
        return f"there is no Java of version {OLDEST_JAVA} or newer (JAVA_HOME)"
    return ""


def java() -> Path | None:
    """A Java that is new enough."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    for pattern in _JAVA_PATTERNS:
        homes += sorted(Path("/").glob(pattern), reverse=True)
    return next((home / "bin" / "java" for home in homes if _version(home) >= OLDEST_JAVA), None)


def _version(home: Path) -> int:
    try:
        text = (home / "release").read_text()
    except OSError:
        return 0
    found = re.search(r'JAVA_VERSION="(\d+)', text)
    return int(found[1]) if found and (home / "bin" / "java").is_file() else 0


def fetch() -> None:
    """Bring the server into the cache unless it is there. Takes 800 MB for a moment, keeps 250."""
    if _is_whole():
        return
    artifact = f"io.trino:trino-server:{VERSION}:tar.gz"
    subprocess.run(
        ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"],
        check=True,
    )
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(dir=CACHE.parent))
    try:
        with tarfile.open(_archive()) as packed:
            packed.extractall(unpacked, filter="data")  # whole: plugins link to each other's files
        _add_what_is_missing(unpacked / f"trino-server-{VERSION}")
    finally:
        shutil.rmtree(unpacked)


def _is_whole() -> bool:
    return (CACHE / "lib").is_dir() and all((CACHE / "plugin" / one).is_dir() for one in _PLUGINS)


def _archive() -> Path:
    repository = Path(os.environ.get("MAVEN_REPOSITORY", Path.home() / ".m2" / "repository"))
    return repository / "io/trino/trino-server" / VERSION / f"trino-server-{VERSION}.tar.gz"


def _add_what_is_missing(server: Path) -> None:
    """What is there stays: a server may be running from it."""
    (CACHE / "plugin").mkdir(parents=True, exist_ok=True)
    for part in ("lib", *(f"plugin/{plugin}" for plugin in _PLUGINS)):
        if not (CACHE / part).is_dir():
            (server / part).rename(CACHE / part)


@contextlib.contextmanager
def running(options: Options | None = None) -> Iterator[str]:
    """A server's URL, as soon as it takes statements; the process is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="queryrun-trino-"))
    try:
        with _process(home, options or Options()) as url:
            yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _process(home: Path, options: Options) -> Iterator[str]:
    program = java()
    if program is None or not _is_whole():
        raise RuntimeError(what_is_missing())
    port = free_port()
    _configure(home, port, options)
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            _command(program, home, options), cwd=home, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, home)
        yield url
    finally:
        process.kill()
        process.wait()


def _configure(home: Path, port: int, options: Options) -> None:
    etc = home / "etc"
    (etc / "catalog").mkdir(parents=True)
    (etc / "config.properties").write_text(
        "coordinator=true\nnode-scheduler.include-coordinator=true\n"
        f"http-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\n"
        "query.max-memory=600MB\nquery.max-memory-per-node=600MB\n"
        "memory.heap-headroom-per-node=300MB\nweb-ui.enabled=false\n"
        f"catalog.config-dir={etc}/catalog\nplugin.dir={CACHE}/plugin\n{options.config}"
    )
    (etc / "log.properties").write_text("io.trino=WARN\n")
    for catalog, text in options.catalogs.items():
        (etc / "catalog" / f"{catalog}.properties").write_text(text)
    for name, text in options.files.items():
        (etc / name).write_text(text)
    if options.spool:
        with (etc / "config.properties").open("a") as config:
            key = b64encode(secrets.token_bytes(32)).decode()
            config.write("protocol.spooling.enabled=true\n")
            config.write(f"protocol.spooling.shared-secret-key={key}\n")
        (etc / "spooling-manager.properties").write_text(options.spool)


def _command(program: Path, home: Path, options: Options) -> list[str]:
    return [
        str(program), f"-Xmx{options.heap}", "-XX:+UseSerialGC",
        f"-XX:ActiveProcessorCount={options.processors}", "-XX:TieredStopAtLevel=4",
        "-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector",
        "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
        "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC",
        "-Dnode.environment=test", "-Dnode.id=test", f"-Dnode.data-dir={home}/data",
        "-Dnode.bind-ip=127.0.0.1", "-Dnode.internal-address=127.0.0.1",
        f"-Dconfig={home}/etc/config.properties", f"-Dlog.levels-file={home}/etc/log.properties",
        "-cp", f"{CACHE}/lib/*", "io.trino.server.TrinoServer",
    ]  # fmt: skip


def _wait_for(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + START_S
    with httpx.Client(timeout=5) as client:
        while not _is_up(client, url):
            if process.poll() is not None or time.monotonic() > deadline:
                text = (home / "log").read_text()[-3000:]
                raise RuntimeError(f"Trino did not start: {text}")
            time.sleep(0.2)


def _is_up(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/v1/info").json().get("starting") is False
    except (httpx.TransportError, ValueError):
        return False


if __name__ == "__main__":
    fetch()
