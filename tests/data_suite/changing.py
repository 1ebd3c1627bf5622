"""Writers that replace, delete, append to and half-write files, while statements read them.

    python -m tests.data_suite.changing [SECONDS [SEED]]

Each table has a writer of its own in a thread. Every statement names its table twice and begins
with a step of every writer, which goes on beside it. What a statement may say: all rows of one
version, twice, or a failure that names its table.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import FailureCode, RunFailed

ROWS = 500
"""Of a version. Version 7 has the number 7 in all of them."""
MEMORY_BYTES = 256 * 1024**2
ABOUT_DATA = {
    FailureCode.DATA_CHANGED,
    FailureCode.DATA_INVALID,
    FailureCode.DATA_UNREADABLE,
    FailureCode.NAME_NOT_FOUND,
}

Row = tuple[int, int, int, int]
"""Which mention of the table, version, rows of it, sum of their numbers."""


def _csv(version: int) -> bytes:
    return b"".join(b"%d,%d,x\n" % (version, i) for i in range(ROWS))


def _json(version: int) -> bytes:
    return json.dumps([{"v": version, "i": i} for i in range(ROWS)]).encode()


def _parquet(version: int) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"v": [version] * ROWS, "i": range(ROWS)}), out, row_group_size=100)
    return out.getvalue()


def _renamed(path: Path, content: bytes) -> None:
    """As the page about data says: under a hidden name first."""
    new = path.with_name(f".{path.name}")
    new.write_bytes(content)
    new.rename(path)


def replace_csv(data: Path, version: int, _: random.Random) -> None:
    """One file, by rename."""
    _renamed(data / "replaced.csv", b"v,i,p\n" + _csv(version))


def replace_one_of_three(data: Path, version: int, chance: random.Random) -> None:
    """One file of a directory, by rename: the others keep their versions."""
    (data / "parts").mkdir(exist_ok=True)
    _renamed(data / "parts" / f"{chance.randrange(3)}.parquet", _parquet(version))


def delete_and_write(data: Path, version: int, _: random.Random) -> None:
    """Every other step the file is gone."""
    if version % 2:
        (data / "deleted.parquet").unlink(missing_ok=True)
    else:
        _renamed(data / "deleted.parquet", _parquet(version))


def append_csv(data: Path, version: int, chance: random.Random) -> None:
    """In place, the first half of the rows ending in the middle of one."""
    path = data / "appended.csv"
    rows = _csv(version)
    cut = rows.rindex(b",", 0, chance.randrange(100, len(rows)))
    with path.open("ab" if version % 50 else "wb", buffering=0) as file:
        if not file.tell():
            file.write(b"v,i,p\n")
        file.write(rows[:cut])
        file.write(rows[cut:])


def write_halves(data: Path, version: int, chance: random.Random) -> None:
    """In place; every third time the second half never comes. No first part of these is whole."""
    name, content = chance.choice(
        [
            ("halves/a.json", _json(version)),
            ("halves2/a.parquet", _parquet(version)),
            ("halves3/a.csv.gz", gzip.compress(b"v,i,p\n" + _csv(version), 1)),
        ]
    )
    (data / name).parent.mkdir(exist_ok=True)
    with (data / name).open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        if version % 3:
            file.write(content[len(content) // 2 :])


WRITERS: Sequence[Callable[[Path, int, random.Random], None]] = (
    replace_csv,
    replace_one_of_three,
    delete_and_write,
    append_csv,
    write_halves,
)
TABLES = ("replaced", "parts", "deleted", "appended", "halves", "halves2", "halves3")


@dataclass(slots=True)
class Outcome:
    """What statements said. There must be no `faults`."""

    read: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@contextmanager
def writing(data: Path, seed: int) -> Iterator[Callable[[], None]]:
    """All writers in their threads; what is yielded lets each take one more step."""
    turns = [threading.Semaphore(0) for _ in WRITERS]
    stop = threading.Event()

    def write(number: int, chance: random.Random) -> None:
        version = 1
        while turns[number].acquire() and not stop.is_set():
            WRITERS[number](data, version := version + 1, chance)

    threads = []
    for number, writer in enumerate(WRITERS):
        chance = random.Random(seed + number)  # noqa: S311 - a course of events
        writer(data, 1, chance)
        threads.append(threading.Thread(target=write, args=(number, chance)))
    for thread in threads:
        thread.start()

    def step() -> None:
        for turn in turns:
            turn.release()

    try:
        yield step
    finally:
        stop.set()
        step()
        for thread in threads:
            thread.join()


class Reader:
    """Statements that name a table twice, in a session as a worker's."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in ("data", "copies", "spill"):
            (root / name).mkdir(exist_ok=True)
        self._session = self._opened()
        self.outcome = Outcome()

    def _opened(self) -> DuckDBSession:
        options = {
            "data_dir": str(self._root / "data"),
            "copies_dir": str(self._root / "copies"),
            "dialect": "trino",
        }
        spill = str(self._root / "spill")
        return open_session(options, EngineLimits(MEMORY_BYTES, 2, spill, MEMORY_BYTES))

    def query(self, table: str) -> None:
        """One statement; what it says is noted."""
        try:
            fault = fault_of(self._rows(table))
        except RunFailed as failed:
            failure = failed.failure
            self.outcome.failed[table] += 1
            if failure.code not in ABOUT_DATA or f"'{table}'" not in failure.message:
                self.outcome.faults.append(f"{table}: {failure.code}: {failure.message}")
            return
        self.outcome.read[table] += 1
        if fault:
            self.outcome.faults.append(f"{table}: {fault}")

    def _rows(self, table: str) -> list[Row]:
        one, two = (
            f"SELECT {part} AS part, v, count(*) AS n, sum(i) AS s FROM {table} GROUP BY v"
            for part in (1, 2)
        )
        try:
            planned = self._session.plan(f"{one} UNION ALL {two}", RowFilter(marks_deleted=False))
            rows = planned.connection.execute(planned.relation).fetchall()
            self._session.verify_rows()
        except duckdb.Error as error:
            raise self._session.failure_of(error) from error
        finally:
            if not self._session.renew():
                self.close()
                self._session = self._opened()
        return rows

    def close(self) -> None:
        """The session ends."""
        self._session.close()


def fault_of(rows: Sequence[Row]) -> str:
    """Empty when both mentions had the same versions, each of them whole."""
    first, second = (sorted(row[1:] for row in rows if row[0] == part) for part in (1, 2))
    if first != second:
        return f"one statement read two versions: {first[:5]} and {second[:5]}"
    # A file of a directory may be of the version that another has: then twice the rows.
    broken = [row for row in first if row[1] % ROWS or row[2] * 2 != row[1] * (ROWS - 1)]
    return f"rows of no version: {broken[:5]}" if broken else ""


def play(root: Path, seed: int, *, statements: int = sys.maxsize, seconds: float = 1e9) -> Outcome:
    """Ask until so many statements have been asked, or so much time has passed."""
    reader, end = Reader(root), time.monotonic() + seconds
    try:
        with writing(root / "data", seed) as step:
            for number in range(statements):
                step()
                reader.query(TABLES[number % len(TABLES)])
                if time.monotonic() > end:
                    break
    finally:
        reader.close()
    return reader.outcome


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        limit, seed, *_ = [*map(int, sys.argv[1:]), *(180, 1)[len(sys.argv) - 1 :]]
        outcome = play(Path(made), seed, seconds=limit)
    for table in TABLES:
        print(f"{table:<10} read {outcome.read[table]:>6,}  failed {outcome.failed[table]:>6,}")
    print(f"faults {len(outcome.faults)}", *outcome.faults[:20], sep="\n")
    sys.exit(bool(outcome.faults))
