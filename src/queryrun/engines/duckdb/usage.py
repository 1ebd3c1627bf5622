"""What DuckDB counted of the statement that a connection ran last."""

from __future__ import annotations

import duckdb
import msgspec

from queryrun.engines.base import EngineUsage

PROFILE = "SET enable_profiling='no_output'"
"""Counts, and writes nothing anywhere. Costs about 0.2 ms for each statement, when it is read."""


class _Scanned(msgspec.Struct, frozen=True):
    total_bytes_scanned: int = 0
    total_rows_scanned: int = 0


class _System(msgspec.Struct, frozen=True):
    total_bytes_spilled: int = 0


class _Profile(msgspec.Struct, frozen=True):
    query: _Scanned = _Scanned()
    system: _System = _System()


_decode = msgspec.json.Decoder(_Profile).decode


def usage_of(connection: duckdb.DuckDBPyConnection) -> EngineUsage:
    """Its last statement's; nothing known when it counted none."""
    try:
        profile = _decode(connection.get_profiling_information("json"))
    except (duckdb.Error, msgspec.MsgspecError):
        return EngineUsage()
    return EngineUsage(
        profile.query.total_bytes_scanned,
        profile.query.total_rows_scanned,
        profile.system.total_bytes_spilled,
    )
