"""A table of many files through the engine's session, against bare DuckDB in the same process.

    python -m benchmarks.many_files [parquet files] [csv files]

Prints the seconds of a statement that reads everything, by turns, and their ratio. Text files are
converted by the first statement; later ones read the copies.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
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


def timed(call: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what came out."""
    begin = time.perf_counter()
    found = call()
    return time.perf_counter() - begin, found


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
    first_s, first = timed(lambda: ours(session))
    mine, theirs = [], []
    for _ in range(ROUNDS):
        seconds, found = timed(lambda: ours(session))
        mine.append(seconds)
        seconds, expected = timed(lambda: bare(data / "t", reader))
        theirs.append(seconds)
        if not [tuple(map(int, row)) for row in found] == [
            tuple(map(int, row)) for row in expected
        ]:  # type: ignore[attr-defined]
            raise SystemExit(f"different rows: {found} {expected} {first}")
    session.close()
    later, other = statistics.median(mine), statistics.median(theirs)
    print(
        f"{count} {ending}: first {first_s:.2f} s, later {later:.2f} s, bare DuckDB {other:.2f} s; "
        f"first {first_s / other:.2f} x, later {later / other:.2f} x"
    )


def main() -> None:
    """Both kinds."""
    parquet, csv = (int(text) for text in (*sys.argv[1:], "5000", "2000")[:2])
    with tempfile.TemporaryDirectory() as root:
        compare(Path(root), "parquet", "read_parquet", parquet)
        compare(Path(root), "csv", "read_csv", csv)


if __name__ == "__main__":
    main()
