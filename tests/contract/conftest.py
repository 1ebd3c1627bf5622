"""What the contracts' implementations run against."""

from __future__ import annotations

from tests.postgres_server import postgres_server
from tests.s3_server import moto_server, s3_server
from tests.spark_server import spark_server
from tests.trino_server import trino_server

__all__ = ["moto_server", "postgres_server", "s3_server", "spark_server", "trino_server"]
