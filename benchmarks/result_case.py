"""One result file, written in this process: by DuckDB's own `COPY` or by our pipeline.

Run as a process of its own by `results.py`, so that time, CPU and peak memory are this file's
alone. Reads a case as JSON from its argument, prints what it measured as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

THREADS = 2
MEMORY_BYTES = 2 * 10**9


def main(case: dict[str, Any]) -> dict[str, float]:
    """Write the case's file; seconds, CPU seconds, peak resident MB, file MB."""
    directory = Path(case["directory"])
    work = _bare_copy(case, directory) if case["bare"] else _pipeline(case, directory)
    began, began_cpu = time.perf_counter(), _cpu_s()
    size_bytes = work()
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": _cpu_s() - began_cpu,
        "peak_mb": _peak_mb(),
        "file_mb": size_bytes / 1e6,
    }


def _peak_mb() -> float:
    """Of this program; `getrusage` would remember the parent's size from before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _bare_copy(case: dict[str, Any], directory: Path) -> Callable[[], int]:
    """DuckDB alone, same limits, same disk. `fsync` makes the file as durable as ours."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}; SET memory_limit = '{MEMORY_BYTES}B'")
    if case["table"]:
        connection.execute(f"CREATE VIEW t AS FROM read_parquet('{case['table']}')")
    target = directory / "bare"

    def work() -> int:
        connection.execute(f"COPY ({case['sql']}) TO '{target}' ({case['options']})")
        if case["fsync"]:
            _sync(target)
        return target.stat().st_size

    return work


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _pipeline(case: dict[str, Any], directory: Path) -> Callable[[], int]:
    """What a worker does, in this process."""
    from queryrun.engines.base import EngineLimits
    from queryrun.engines.duckdb.session import open_session
    from queryrun.results.formats import ContentType
    from queryrun.results.request import WriteRequest
    from queryrun.results.write import write_result

    for name in ("spill", "data", "results"):
        (directory / name).mkdir(exist_ok=True)
    if case["table"]:
        (directory / "data" / "t.parquet").hardlink_to(case["table"])
    limits = EngineLimits(MEMORY_BYTES, THREADS, str(directory / "spill"), 10**11)
    session = open_session({"data_dir": str(directory / "data")}, limits)
    job = WriteRequest(
        case["sql"], f"result.{case['content_type']}", ContentType(case["content_type"])
    )
    job = _with(job, case)
    store = _store(case, directory / "results")
    return lambda: write_result(session, job, store, _Silent()).size_bytes


def _with(job: Any, case: dict[str, Any]) -> Any:
    from dataclasses import replace

    from queryrun.results.formats import ContentEncoding

    return replace(
        job,
        content_encoding=ContentEncoding(case["content_encoding"]),
        encryption_key=case["encryption_key"],
    )


def _store(case: dict[str, Any], directory: Path) -> Any:
    if not case["s3"]:
        from queryrun.results.local import LocalResultStore

        return LocalResultStore(directory)
    from queryrun.results.s3 import S3ResultStore
    from queryrun.results.s3bucket import S3Bucket
    from queryrun.results.s3location import S3Location
    from queryrun.results.sigv4 import Credentials

    credentials = Credentials(**case["s3"]["credentials"])
    return S3ResultStore(S3Bucket(S3Location(**case["s3"]["location"]), lambda: credentials))


class _Silent:
    def stage(self, stage: str) -> None:
        """Ignored."""

    def written(self, rows: int, size_bytes: int) -> None:
        """Ignored."""


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
