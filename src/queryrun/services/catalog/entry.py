"""What a catalog process really opens: names the engines, as `worker/entry.py` does."""

from __future__ import annotations

import socket
from typing import NoReturn

from queryrun.engines.base import Catalog
from queryrun.engines.duckdb.catalog import open_catalog as open_duckdb_catalog
from queryrun.engines.source_spec import SourceSpec
from queryrun.services.catalog.process import run_catalog


def main(control: socket.socket) -> NoReturn:
    """The entry point: list the tables of a real source."""
    run_catalog(control, open_catalog)


def open_catalog(source: SourceSpec) -> Catalog:
    """The tables of a source (`process.OpenCatalog`)."""
    secret = source.secret.text if source.secret else None
    if source.engine == "trino":
        from queryrun.engines.trino.catalog import open_catalog as open_trino_catalog

        return open_trino_catalog(source.options, secret)
    if source.engine == "spark":
        from queryrun.engines.spark.catalog import open_catalog as open_spark_catalog

        return open_spark_catalog(source.options, secret)
    return open_duckdb_catalog(source.options)
