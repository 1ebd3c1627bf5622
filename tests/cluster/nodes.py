"""Several nodes, each a process with a home of its own, over one database and one bucket."""

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
    place: S3Location
    environ: dict[str, str]
    nodes: list[Server] = field(default_factory=list)

    @classmethod
    def over(cls, postgres: PostgresServer, place: S3Location, root: Path) -> Cluster:
        """A cluster without nodes yet: the first home is made, its client is in the database."""
        url = postgres.url(postgres.new_database())
        url_file = root / "database.url"
        url_file.write_text(url)
        made = init_home(root / "home-0", entity="main", factor=None, database_url_file=url_file)
        environ = {
            "QUERYRUN_RESULTS__STORE": "s3",
            "QUERYRUN_RESULTS__BUCKET": place.bucket,
            "QUERYRUN_RESULTS__PREFIX": place.prefix,
            "QUERYRUN_RESULTS__ENDPOINT": place.endpoint,
            "QUERYRUN_SOURCES__LIVE__DATA": str(made.data_dir),
            "QUERYRUN_SOURCES__LIVE__MAX_RUNNING_PER_TENANT": "0",
            "QUERYRUN_SOURCES__LIVE__MAX_QUEUED_PER_TENANT": "0",
            "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_access_key,
        }
        return cls(made, root, postgres, url, place, environ)

    def start(
        self,
        roles: str = "api,worker",
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Server:
        """Start another node; `prefix` is what its command line begins with. One without `api`
        gets no token and answers probes only."""
        home = self._new_home()
        command = [*prefix, sys.executable, *SERVE, "--home", str(home), "--roles", roles]
        process, url = start_serving(command, self.log, self.environ | dict(environ or {}))
        http = httpx.Client(base_url=url, timeout=60)
        node = Server(process, url, http, self.made)
        self.nodes.append(node)
        if "api" in roles and not prefix:
            authorize(http, self.made.issued)
        return node

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Look into the database, past the nodes."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def ports(self) -> tuple[int, int]:
        """Where the database and the bucket are, on the loopback."""
        port = urlsplit(self.place.endpoint).port
        assert port is not None
        return self.postgres.port, port

    def files(self) -> list[str]:
        """Everything in the bucket, unfinished uploads included."""
        with bucket_at(self.place) as bucket:
            return keys_in(bucket)

    def wait_ready(self, node: Server) -> None:
        """Wait until a node says that it should get requests."""
        deadline = time.monotonic() + 30
        while node.http.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, node.http.get("/readyz").text

    @property
    def log(self) -> Path:
        """What all nodes have logged."""
        return self.root / "log"

    def close(self) -> None:
        """End whatever still runs."""
        for node in self.nodes:
            node.close()
        self.postgres.drop_database(self.url.rpartition("/")[2])

    def _new_home(self) -> Path:
        """What the how-to says for a further node: the configuration and the link key, copied."""
        home = Path(mkdtemp(prefix="home-", dir=self.root))
        for name in (CONFIG_NAME, LINK_KEY_NAME):
            shutil.copy(self.made.home / name, home / name)
        return home
