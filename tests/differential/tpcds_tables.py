"""TPC-DS's tables for both sides: made in the judge's Trino, exported once as Parquet files.

A Trino makes them with its own generator (`tpcds/tables.sql`); our side reads the same rows
from `tpcds/*.parquet`. They have their own schema: TPC-H has a table `customer` as well.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import duckdb

from tests.differential.suite import HERE, TPCDS, tables_in
from tests.differential.trino_client import TrinoClient

FILES = HERE / TPCDS


def make_tables(client: TrinoClient) -> None:
    """The tables in Trino's memory, and the files where they are missing."""
    client.run_command(f"CREATE SCHEMA IF NOT EXISTS memory.{TPCDS}")
    for name, query in tables_in(FILES / "tables.sql").items():
        table = f"memory.{TPCDS}.{name}"
        client.run_command(f"DROP TABLE IF EXISTS {table}")
        client.run_command(f"CREATE TABLE {table} AS {query}")
        file = FILES / f"{name}.parquet"
        if not file.exists():
            _export(client, table, file)


def _export(client: TrinoClient, table: str, file: Path) -> None:
    result = client.query(f"SELECT * FROM {table} ORDER BY 1, 2")
    columns = {name: _duckdb_type(kind) for name, kind in result.columns}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as lines:
        for row in result.rows:
            lines.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")
        lines.flush()
        with duckdb.connect(":memory:") as writer:
            writer.execute(
                f"COPY (FROM read_json('{lines.name}', columns={columns})) TO '{file}' "
                "(PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 19)"
            )


def _duckdb_type(kind: str) -> str:
    return "VARCHAR" if kind.startswith("varchar") else kind
