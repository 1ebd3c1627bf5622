"""Runs a real Trino and records its answers to the suite: `python -m tests.differential.judge`.

The server comes from Maven Central (`io.trino:trino-server`, by `mvn dependency:get`) and needs
Java 24 or newer, found through JAVA_HOME. It runs on 127.0.0.1 with 2 GB of heap and one
processor, and is ended afterwards. Only statements without a recorded answer are asked, unless
`--all` is given; `--url` asks a server that runs already.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.differential.suite import ANSWERS, TRINO_VERSION, Case, cases, own_tables, recorded
from tests.differential.tpcds_tables import make_tables as make_tpcds_tables
from tests.differential.trino_client import TrinoClient

PORT = 18476
START_S = 180
_PLUGINS = ("memory", "tpcds", "tpch")
_CATALOGS = {
    "memory": "connector.name=memory\n",
    "tpcds": "connector.name=tpcds\n",
    "tpch": "connector.name=tpch\ntpch.column-naming=STANDARD\ntpch.double-type-mapping=DECIMAL\n",
}
_CONFIG = f"""coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={PORT}
discovery.uri=http://127.0.0.1:{PORT}
query.max-memory=600MB
query.max-memory-per-node=600MB
memory.heap-headroom-per-node=300MB
web-ui.enabled=false
"""
_TPCH = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
_FUNCTIONS = Path("src/queryrun/sql/trino/functions.json")


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--all", action="store_true", help="ask everything again")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = options.url or stack.enter_context(_server())
        client = TrinoClient(url)
        client.wait(START_S)
        _make_tables(client)
        make_tpcds_tables(client)
        _record_functions(client)
        _record(url, everything=options.all)


def _record(url: str, *, everything: bool) -> None:
    known = {} if everything else recorded()
    by_group: dict[str, list[Case]] = {}
    for case in cases():
        by_group.setdefault(case.group, []).append(case)
    ANSWERS.mkdir(exist_ok=True)
    for group, members in by_group.items():
        lines = []
        client = TrinoClient(url, schema=members[0].schema)
        for case in members:
            entry = known.get(case.sql) or client.ask(case.sql)
            answer = {"sql": case.sql, "columns": entry.columns, "rows": entry.rows}
            if entry.error:
                answer = {"sql": case.sql, "error": entry.error}
            lines.append(json.dumps(answer, ensure_ascii=False))
        text = "[\n" + ",\n".join(lines) + "\n]\n"
        (ANSWERS / f"{group}.json").write_text(text, encoding="utf-8")


def _record_functions(client: TrinoClient) -> None:
    functions: dict[str, list[list[str]]] = {}
    for name, *rest in client.ask("SHOW FUNCTIONS").rows:
        functions.setdefault(name, []).append([str(cell) for cell in rest])
    if functions:
        _FUNCTIONS.write_text(
            json.dumps(functions, indent=0, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
        )


def _make_tables(client: TrinoClient) -> None:
    for name, query in own_tables().items():
        client.run(f"DROP TABLE IF EXISTS {name}")
        client.run(f"CREATE TABLE {name} AS {query}")
    for name in _TPCH:
        client.run(f"DROP TABLE IF EXISTS {name}")
        columns = client.ask(f"SHOW COLUMNS FROM tpch.tiny.{name}").rows
        items = ", ".join(_as_generated(column, kind) for column, kind, *_ in columns)
        client.run(f"CREATE TABLE {name} AS SELECT {items} FROM tpch.tiny.{name}")


def _as_generated(column: str, kind: str) -> str:
    """The generator of the other side writes decimals with 15 digits."""
    return f"CAST({column} AS decimal(15,2)) AS {column}" if kind.startswith("decimal") else column


@contextlib.contextmanager
def _server() -> Iterator[str]:
    java = Path(os.environ.get("JAVA_HOME", ""), "bin", "java")
    if not java.is_file():
        raise SystemExit("set JAVA_HOME to a Java of version 24 or newer")
    home = Path(tempfile.mkdtemp(prefix="trino-judge-"))
    try:
        _unpack(home)
        _configure(home)
        process = subprocess.Popen(
            _command(java, home),
            cwd=home,
            stdout=(home / "log").open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _unpack(home: Path) -> None:
    artifact = f"io.trino:trino-server:{TRINO_VERSION}:tar.gz"
    subprocess.run(
        ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"],
        check=True,
    )
    name = f"trino-server-{TRINO_VERSION}"
    archive = Path.home() / f".m2/repository/io/trino/trino-server/{TRINO_VERSION}/{name}.tar.gz"
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="data")
    unpacked = home / name
    shutil.move(unpacked / "lib", home / "lib")
    (home / "plugin").mkdir()
    for plugin in _PLUGINS:
        shutil.move(unpacked / "plugin" / plugin, home / "plugin" / plugin)
    shutil.rmtree(unpacked)


def _configure(home: Path) -> None:
    (home / "config.properties").write_text(
        f"{_CONFIG}catalog.config-dir={home}/catalog\nplugin.dir={home}/plugin\n"
    )
    (home / "log.properties").write_text("io.trino=WARN\n")
    (home / "catalog").mkdir()
    for catalog, text in _CATALOGS.items():
        (home / "catalog" / f"{catalog}.properties").write_text(text)


def _command(java: Path, home: Path) -> list[str]:
    return [
        str(java), "-Xmx2G", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1",
        "-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector",
        "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
        "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC",
        "-Dnode.environment=judge", "-Dnode.id=judge", f"-Dnode.data-dir={home}/data",
        "-Dnode.bind-ip=127.0.0.1", "-Dnode.internal-address=127.0.0.1",
        f"-Dconfig={home}/config.properties", f"-Dlog.levels-file={home}/log.properties",
        "-cp", f"{home}/lib/*", "io.trino.server.TrinoServer",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
