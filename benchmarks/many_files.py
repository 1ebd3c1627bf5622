"""A table of many files through the engine's session, against bare DuckDB in the same process.

    python -m benchmarks.many_files [parquet files] [csv files]

Prints the seconds of a statement that reads everything, by turns, and their ratio: wall-clock and,
in brackets, CPU. On a machine that does other things trust the second. Text files are converted by
the first statement; later ones read the copies.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session

ROUNDS = 5
MEMORY_BYTES = 2 * 1024**3
SQL = "SELECT count(*) AS n, sum(v) AS s FROM t"


def write_files(directory: Path, ending: str, count: int) -> None:
    """`count` files of 100 rows each."""
    directory.mkdir(parents=True)
    with duckdb.connect() as writer:
        for number in range(count):
            query = f"SELECT range + {number} AS v, 'x' || range AS s FROM range(100)"
            writer.execute(f"COPY ({query}) TO '{directory}/{number:05}.{ending}'")


def ours(session: DuckDBSession) -> object:
    """A statement as a run executes it, verified."""
    if not session.renew():
        raise RuntimeError("the session is used up")
    rows = session.plan(SQL, RowFilter(marks_deleted=False))
    found = rows.connection.execute(rows.relation).fetchall()
    session.verify_data()
    return found


def bare(directory: Path, reader: str) -> object:
    """What a person would type into DuckDB, with as much memory and as many threads."""
    with duckdb.connect(config={"memory_limit": "2GB", "threads": 2}) as connection:
        return connection.execute(
            f"SELECT count(*), sum(v) FROM {reader}('{directory}/*', union_by_name=true)"
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the clock and of CPU."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f})"

    def ratio(self, other: Cost) -> str:
        """How many times the other's."""
        return f"{self.wall_s / other.wall_s:.2f} x ({self.cpu_s / other.cpu_s:.2f})"


def timed(call: Callable[[], object]) -> tuple[Cost, object]:
    """What it cost, and what came out."""
    begin, cpu = time.perf_counter(), sum(os.times()[:2])
    found = call()
    return Cost(time.perf_counter() - begin, sum(os.times()[:2]) - cpu), found


def median(costs: Sequence[Cost]) -> Cost:
    """Of each by itself."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
    )


def compare(root: Path, ending: str, reader: str, count: int) -> None:
    """One line per figure."""
    data = root / ending
    write_files(data / "t", ending, count)
    (root / f"spill-{ending}").mkdir()
    (root / f"copies-{ending}").mkdir()
    options = {
        "data_dir": str(data),
        "dialect": "trino",
        "copies_dir": str(root / f"copies-{ending}"),
    }
    limits = EngineLimits(MEMORY_BYTES, 2, str(root / f"spill-{ending}"), MEMORY_BYTES)
    session = open_session(options, limits)
    first_cost, first = timed(lambda: ours(session))
    own, other = [], []
    for _ in range(ROUNDS):
        cost, found = timed(lambda: ours(session))
        own.append(cost)
        cost, expected = timed(lambda: bare(data / "t", reader))
        other.append(cost)
        if not [tuple(map(int, row)) for row in found] == [
            tuple(map(int, row)) for row in expected
        ]:  # type: ignore[attr-defined]
            raise SystemExit(f"different rows: {found} {expected} {first}")
    session.close()
    later, known = median(own), median(other)
    print(
        f"{count} {ending}: first {first_cost}, later {later}, bare DuckDB {known}; "
        f"first {first_cost.ratio(known)}, later {later.ratio(known)}"
    )


def main() -> None:
    """Both kinds."""
    parquet, csv = (int(text) for text in (*sys.argv[1:], "5000", "2000")[:2])
    with tempfile.TemporaryDirectory() as root:
        compare(Path(root), "parquet", "read_parquet", parquet)
        compare(Path(root), "csv", "read_csv", csv)


if __name__ == "__main__":
    main()
