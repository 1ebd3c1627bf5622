"""How a DuckDB instance of ours is opened, set up, and closed to everything but its data."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.config import limited
from queryrun.engines.duckdb.usage import PROFILE
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.sql import quoted_text, text_list


def open_instance(limits: EngineLimits) -> duckdb.DuckDBPyConnection:
    """An instance in memory; about 10 ms of CPU."""
    return duckdb.connect(
        ":memory:",
        config={
            **limited(limits),
            # A file that changed between two statements must be read anew, whatever its times say.
            "enable_external_file_cache": False,
        },
    )


def set_up_connection(connection: duckdb.DuckDBPyConnection, time_zone: str) -> None:
    """Settings of a connection are locked later with the instance's, so they are made now."""
    connection.execute(
        f"SET enable_progress_bar=true; SET enable_progress_bar_print=false; {PROFILE}"
    )
    try:
        connection.execute(f"SET TimeZone={quoted_text(time_zone)}")
    except duckdb.Error as error:
        raise RunFailed.of(FailureCode.INVALID_VALUE, f"Unknown time zone '{time_zone}'") from error


def lock(
    instance: duckdb.DuckDBPyConnection, directories: Sequence[str], paths: Sequence[str]
) -> None:
    """Comes last: afterwards not even this process can allow more."""
    instance.execute(
        f"SET allowed_directories={text_list(directories)};"
        f"SET allowed_paths={text_list(paths)};"
        "SET enable_external_access=false;"
        "SET lock_configuration=true"
    )
