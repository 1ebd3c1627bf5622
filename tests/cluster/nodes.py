"""Several nodes, each a process with its own home, over one database and one bucket."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import psycopg

from queryrun.cli.home import MadeHome, init_home
from queryrun.results.s3location import S3Location
from queryrun.settings import CONFIG_NAME, LINK_KEY_NAME
from tests.e2e.conftest import Server, authorize, start_serving
from tests.postgres_server import PostgresServer
from tests.s3_server import CREDENTIALS, bucket_at, keys_in

SERVE = ("-m", "queryrun.cli", "serve")


@dataclass
class Cluster:
    """The nodes of one test. They share a database, a bucket, the data and the link key."""

    made: MadeHome
    root: Path
    postgres: PostgresServer
    url: str
    location: S3Location
    environ: dict[str, str]
    nodes: list[Server] = field(default_factory=list)

    @classmethod
    def over(cls, postgres: PostgresServer, location: S3Location, root: Path) -> Cluster:
        """A cluster without nodes: only a home, and its client in the database."""
        url = postgres.url(postgres.new_database())
        url_file = root / "database.url"
        url_file.write_text(url)
        made = init_home(root / "home-0", entity="main", factor=None, database_url_file=url_file)
        environ = {
            "QUERYRUN_RESULTS__STORE": "s3",
            "QUERYRUN_RESULTS__BUCKET": location.bucket,
            "QUERYRUN_RESULTS__PREFIX": location.prefix,
            "QUERYRUN_RESULTS__ENDPOINT": location.endpoint,
            "QUERYRUN_SOURCES__LIVE__DATA": str(made.data_dir),
            "QUERYRUN_SOURCES__LIVE__RUNNING_PER_TENANT": "0",
            "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
            "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_access_key,
        }
        return cls(made, root, postgres, url, location, environ)

    def start(
        self,
        roles: str = "api,worker",
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        program: Sequence[str] = SERVE,
        port: int = 0,
    ) -> Server:
        """Start another node. `prefix` comes before its command line. A node without the role `api`
        gets no token and serves probes only.
        """
        home = self._new_home()
        command = [*prefix, sys.executable, *program, "--home", str(home), "--roles", roles]
        process, url = start_serving(command, self.log, self.environ | dict(environ or {}), port)
        http = httpx.Client(base_url=url, timeout=60)
        node = Server(process, url, http, self.made)
        self.nodes.append(node)
        if "api" in roles and not prefix:
            authorize(http, self.made.issued)
        return node

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Query the database directly."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def execute(self, statement: str) -> None:
        """Change the database directly."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @property
    def ports(self) -> tuple[int, int]:
        """The loopback ports of the database and the bucket."""
        port = urlsplit(self.location.endpoint).port
        assert port is not None
        return self.postgres.port, port

    def files(self) -> list[str]:
        """Everything in the bucket but the nodes' probes, unfinished uploads included."""
        with bucket_at(self.location) as bucket:
            return [key for key in keys_in(bucket) if not key.startswith("probe-")]

    def wait_ready(self, node: Server) -> None:
        """Wait until the node reports that it is ready."""
        deadline = time.monotonic() + 100
        while node.http.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, node.http.get("/readyz").text

    def wait_unavailable(self, node: Server) -> None:
        """Wait until the node reports that it is not ready: what it reports is a second old."""
        deadline = time.monotonic() + 100
        while node.http.get("/readyz").status_code != 503:
            assert time.monotonic() < deadline, node.http.get("/readyz").text

    @property
    def log(self) -> Path:
        """The log of all nodes."""
        return self.root / "log"

    def close(self) -> None:
        """Kill the nodes that still run."""
        for node in self.nodes:
            node.close()
        self.postgres.drop_database(self.url.rpartition("/")[2])

    def _new_home(self) -> Path:
        """As in the how-to for another node: copy the configuration and the link key."""
        home = Path(mkdtemp(prefix="home-", dir=self.root))
        for name in (CONFIG_NAME, LINK_KEY_NAME):
            shutil.copy(self.made.home / name, home / name)
        return home
