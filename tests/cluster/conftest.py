"""A cluster per test, over a new database and a new bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import Cluster
from tests.postgres_server import PostgresServer
from tests.postgres_server import postgres_server as postgres_server  # a fixture
from tests.s3_server import S3Server
from tests.s3_server import s3_server as s3_server  # the same


@pytest.fixture
def cluster(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path: Path
) -> Iterator[Cluster]:
    """A cluster without nodes. Every node that a test starts is killed afterwards."""
    cluster = Cluster.over(postgres_server, s3_server.new_bucket(), tmp_path)
    yield cluster
    cluster.close()
