"""Sample data to try queryrun on: invented billing and the real New York flights of 2013."""

from __future__ import annotations

from queryrun.demo.write import (
    DEFAULT_SEED,
    TABLES,
    SampleData,
    SampleDataError,
    WrittenTable,
    missing_tables,
    write_sample_data,
)

__all__ = [
    "DEFAULT_SEED",
    "TABLES",
    "SampleData",
    "SampleDataError",
    "WrittenTable",
    "missing_tables",
    "write_sample_data",
]
