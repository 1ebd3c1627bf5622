"""The DuckDB instance that encodes Arrow batches of other engines.

Engines that deliver Arrow register their batches here, so that one encoder writes the files of
all engines (docs/decisions/0007-results-above-engines-above-sql.md).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from queryrun.engines.base import EngineLimits, Rows, result_columns
from queryrun.engines.duckdb.config import limited
from queryrun.engines.duckdb.failures import OUT_OF_MEMORY, ErrorContext, failure_of
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.sql import quoted_name, quoted_text

INTERRUPTED = "The statement was interrupted"
_PIPE = "out"
_ROWS = "arrow_rows"
_NOWHERE = sys.maxsize
"""Positions in the SQL of the encoder are none in the user's statement."""


class ArrowEncoder:
    """An instance in memory whose configuration is locked.

    External access is off, except for the one pipe. It runs no SQL of a user.
    """

    def __init__(self, limits: EngineLimits, time_zone: str) -> None:
        self.output_path = str(Path(limits.spill_dir, _PIPE).absolute())
        self._instance = duckdb.connect(
            ":memory:",
            config=limited(limits),
        )
        self._lock(time_zone)
        self._connection = self._instance.cursor()

    def rows(self, reader: Any, names: Mapping[str, str]) -> Rows:
        """The batches of a `RecordBatchReader`, to be read once.

        `names` has the name of each column by its name in Arrow, where names are unique.
        """
        self._connection.register(_ROWS, reader)
        listed = ", ".join(f"{field} AS {quoted_name(name)}" for field, name in names.items())
        relation = f"SELECT {listed} FROM {_ROWS}"
        described = self._connection.execute(f"DESCRIBE {relation}").fetchall()
        columns = result_columns(names.values(), [str(kind) for _, kind, *_ in described])
        return Rows(self._connection, relation, columns)

    def release_batches(self) -> None:
        """Release the batches, and whatever has been read of them."""
        self._connection.close()
        self._connection = self._instance.cursor()

    def failure_of(self, error: BaseException) -> BaseException:
        """The encoder's errors as `RunFailed`; other errors come back as they are."""
        if isinstance(error, MemoryError):
            return RunFailed.of(FailureCode.MEMORY_LIMIT_EXCEEDED, OUT_OF_MEMORY)
        if isinstance(error, duckdb.InterruptException):
            return RunFailed.of(FailureCode.STATEMENT_FAILED, INTERRUPTED)
        if isinstance(error, duckdb.Error):
            return failure_of(error, ErrorContext("", (), (self.output_path,)), _NOWHERE)
        return error

    def interrupt(self) -> None:
        """DuckDB's own interrupt; it takes effect between two batches."""
        self._connection.interrupt()

    def close(self) -> None:
        """Give back memory and spill files."""
        self._connection.close()
        self._instance.close()

    def _lock(self, time_zone: str) -> None:
        """Locked before the first batch arrives: nothing that runs later can widen the access."""
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
