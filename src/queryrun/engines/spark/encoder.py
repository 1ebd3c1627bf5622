"""The DuckDB instance that writes Spark's rows to the file: it reads what it is handed, no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from queryrun.engines.base import Column, EngineLimits, Rows
from queryrun.engines.directory import quoted_name, quoted_text
from queryrun.errors import FailureCode, RunFailed

if TYPE_CHECKING:
    from queryrun.engines.spark.types import Field

_PIPE = "out"
_ROWS = "rows_of_spark"


class Encoder:
    """In memory, locked, with external access off but for the one pipe. No SQL of a user's runs."""

    def __init__(self, limits: EngineLimits, time_zone: str) -> None:
        self.output_path = str(Path(limits.spill_dir, _PIPE).absolute())
        self._instance = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{limits.memory_bytes // 1024}KiB",
                "threads": limits.threads,
                "temp_directory": limits.spill_dir,
                "max_temp_directory_size": f"{limits.spill_bytes // 1024}KiB",
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
                "allow_community_extensions": False,
                "allow_persistent_secrets": False,
                "python_enable_replacements": False,
                "errors_as_json": True,
            },
        )
        self._lock(time_zone)
        self._connection = self._instance.cursor()

    def rows(self, reader: Any, fields: Sequence[Field]) -> Rows:
        """Make the batches of `reader` readable, once, under their columns' own names."""
        self._connection.register(_ROWS, reader)
        columns = ", ".join(f"{one.arrow_name} AS {quoted_name(one.name)}" for one in fields)
        relation = f"SELECT {columns} FROM {_ROWS}"
        described = self._connection.execute(f"DESCRIBE {relation}").fetchall()
        names = [Column(str(name), str(kind)) for name, kind, *_ in described]
        return Rows(self._connection, relation, names)

    def forget(self) -> None:
        """Let go of the batches, and of whatever has been read of them."""
        self._connection.close()
        self._connection = self._instance.cursor()

    def interrupt(self) -> None:
        """DuckDB's own interrupt; it counts between two batches."""
        self._connection.interrupt()

    def close(self) -> None:
        """Give back memory and spill files."""
        self._connection.close()
        self._instance.close()

    def _lock(self, time_zone: str) -> None:
        try:
            self._instance.execute(f"SET GLOBAL TimeZone={quoted_text(time_zone)}")
        except duckdb.Error as error:
            message = f"Unknown time zone '{time_zone}'"
            raise RunFailed.of(FailureCode.INVALID_VALUE, message) from error
        self._instance.execute(
            "SET enable_progress_bar=false;"
            f"SET allowed_paths=[{quoted_text(self.output_path)}];"
            "SET enable_external_access=false;"
            "SET lock_configuration=true"
        )
