"""One big CSV file through the engine's session, against bare DuckDB in the same process.

    python -m benchmarks.big_csv [megabytes]

Prints the seconds of the first statement on the file, of a second one and of bare DuckDB's, by
turns, for a statement on three columns and for one on all ten. The first statement on a file
converts the columns that it names, one that needs more converts them all; later ones read the copy.
Wall-clock seconds and CPU seconds: on a machine that does other things trust the second.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session

ROUNDS = 3
MEMORY_BYTES = 2 * 1024**3
ROW_BYTES = 110
"""Of the rows that `write_file` makes, about."""
THREE = (
    "SELECT region, count(*) AS n, round(sum(amount) / 1000) AS s, min(day) AS d FROM t "
    "GROUP BY region"
)
ALL = (
    "SELECT min(id) AS a, min(account) AS b, min(amount) AS c, min(currency) AS d, min(day) AS e, "
    "min(created) AS f, min(name) AS g, min(ref) AS h, bool_and(active) AS i, min(region) AS j "
    "FROM t"
)


def write_file(path: Path, megabytes: int) -> None:
    """Rows of a bookkeeping: numbers, money, texts, a date, a time."""
    rows = megabytes * 1_000_000 // ROW_BYTES
    query = (
        "SELECT range AS id, (range * 7919) % 100000 AS account, "
        "round(((range * 31337) % 100000000) / 100, 2) AS amount, "
        "['EUR', 'USD', 'GBP'][1 + range % 3] AS currency, "
        "DATE '2020-01-01' + CAST(range % 1500 AS INTEGER) AS day, "
        "TIMESTAMP '2024-01-01' + INTERVAL (range) SECOND AS created, "
        "'customer ' || (range % 5000) AS name, md5(CAST(range AS VARCHAR)) AS ref, "
        f"range % 2 = 0 AS active, range % 13 AS region FROM range({rows})"
    )
    with duckdb.connect() as writer:
        writer.execute(f"COPY ({query}) TO '{path}' (HEADER)")


def ours(session: DuckDBSession, sql: str) -> object:
    """A statement as a run executes it, verified."""
    if not session.renew():
        raise RuntimeError("the session is used up")
    rows = session.plan(sql, RowFilter(marks_deleted=False))
    found = rows.connection.execute(rows.relation).fetchall()
    session.verify_data()
    return sorted(found)


def bare(path: Path, sql: str) -> object:
    """What a person would type into DuckDB, with as much memory and as many threads."""
    with duckdb.connect(config={"memory_limit": "2GB", "threads": 2}) as connection:
        connection.execute(f"CREATE VIEW t AS FROM '{path}'")
        return sorted(connection.execute(sql).fetchall())


def timed(call: Callable[[], object]) -> tuple[float, float, object]:
    """Seconds of the clock, seconds of CPU, and what came out."""
    begin, cpu = time.perf_counter(), sum(os.times()[:2])
    found = call()
    return time.perf_counter() - begin, sum(os.times()[:2]) - cpu, found


def opened(root: Path) -> DuckDBSession:
    """A session with copies of its own: nothing is known of the file."""
    for name in ("spill", "copies"):
        (root / name).mkdir(parents=True)
    options = {
        "data_dir": str(root.parent / "data"),
        "dialect": "trino",
        "copies_dir": str(root / "copies"),
    }
    return open_session(options, EngineLimits(MEMORY_BYTES, 2, str(root / "spill"), MEMORY_BYTES))


def compare(root: Path, label: str, sql: str) -> None:
    """A line for first and later reads: clock and CPU, and how many times bare DuckDB's."""
    path = root / "data" / "t.csv"
    figures: dict[str, list[tuple[float, float]]] = {"bare": [], "first": [], "later": []}
    for number in range(ROUNDS):
        session = opened(root / f"{label.replace(' ', '-')}-{number}")
        calls = {
            "bare": lambda: bare(path, sql),
            "first": lambda session=session: ours(session, sql),
            "later": lambda session=session: ours(session, sql),
        }
        results = []
        for name, call in calls.items():
            clock_s, cpu_s, found = timed(call)
            figures[name].append((clock_s, cpu_s))
            results.append(found)
        session.close()
        if len({repr(result) for result in results}) > 1:
            raise SystemExit(f"different rows: {results}"[:2000])
    medians = {
        name: [statistics.median(values) for values in zip(*found, strict=True)]
        for name, found in figures.items()
    }
    for name in ("first", "later"):
        ratios = [own / other for own, other in zip(medians[name], medians["bare"], strict=True)]
        print(
            f"{label}, {name}: {medians[name][0]:.2f} s, CPU {medians[name][1]:.2f} s; bare DuckDB "
            f"{medians['bare'][0]:.2f} s, CPU {medians['bare'][1]:.2f} s; "
            f"{ratios[0]:.2f} x, CPU {ratios[1]:.2f} x"
        )


def main() -> None:
    """Three columns, then all."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        (root / "data").mkdir()
        write_file(root / "data" / "t.csv", megabytes)
        size = (root / "data" / "t.csv").stat().st_size
        print(f"{size / 1e6:.0f} MB, 2 threads, medians of {ROUNDS}")
        compare(root, "three columns", THREE)
        compare(root, "all columns", ALL)


if __name__ == "__main__":
    main()
