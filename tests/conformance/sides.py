"""Our side: Trino's catalog `tpch.tiny` as Parquet, and a session that speaks Trino's SQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from queryrun.errors import Failure, FailureCode
from tests.conformance.fetch import CACHE
from tests.differential.engine_harness import SCALE, DuckDBSide, OurResult

TABLES = CACHE / "tiny"
BOUND_S = 20
"""What one statement may take."""
_PREFIXES = {
    "customer": "c_", "lineitem": "l_", "nation": "n_", "orders": "o_", "part": "p_",
    "partsupp": "ps_", "region": "r_", "supplier": "s_",
}  # fmt: skip


def write_tables() -> Path:
    """The tables with the columns that Trino's tests name, unless they are there."""
    if not TABLES.is_dir():
        made = TABLES.with_name("tiny.new")
        made.mkdir(parents=True, exist_ok=True)
        generator = Path(sys.executable).parent / "tpchgen-cli"
        command = [str(generator), "parquet", "-s", SCALE, "--output-dir", str(made)]
        subprocess.run(command, check=True, capture_output=True)
        for table, prefix in _PREFIXES.items():
            _rename(made / f"{table}.parquet", prefix)
        made.rename(TABLES)
    return TABLES


def _rename(file: Path, prefix: str) -> None:
    described = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(file)]).fetchall()
    items = ", ".join(
        f"{'CAST(' + name + ' AS DOUBLE)' if kind.startswith('DECIMAL') else name}"
        f' AS "{name.removeprefix(prefix)}"'
        for name, kind, *_ in described
    )
    new = file.with_suffix(".new")
    duckdb.execute(f"COPY (SELECT {items} FROM read_parquet('{file}')) TO '{new}' (FORMAT parquet)")
    new.rename(file)


class BoundedSide(DuckDBSide):
    """Stops a statement that takes too long, in DuckDB and in the translator."""

    def run(self, statement: str) -> OurResult:
        """Run one statement to its end."""
        with _bounded(lambda: self._session.interrupt()):
            try:
                return super().run(statement)
            except TimeoutError:
                return _failed(FailureCode.TIME_LIMIT_EXCEEDED, "It takes too long")
            except Exception as error:
                return _failed(FailureCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}")


def _failed(code: FailureCode, message: str) -> OurResult:
    return OurResult([], [], [], Failure(code, message))


@contextmanager
def _bounded(interrupt: Any) -> Iterator[None]:
    timer = threading.Timer(BOUND_S, interrupt)
    timer.daemon = True

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(BOUND_S + 2)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
