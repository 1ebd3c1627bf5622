"""Files that are replaced, written in place, appended to, cut short or deleted in the middle of a
statement: its rows are those of one version, or it fails with words that name the table.

The writer's steps are taken at chosen points of the statement, not by a thread that may be late,
so a seed gives the same course of events on every machine.
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.tables import snapshot
from queryrun.tables.model import Table
from queryrun.tables.text.stream import TextStream

ROWS = 4_000
PADDING = "x" * 300
"""Makes a version larger than what is read of a text file at a time."""
ROUNDS = 16
LIMITS = 256 * 1024**2
TWICE = "SELECT 1 AS part, v, i FROM t UNION ALL SELECT 2, v, i FROM t"
Blocks = tuple[int, ...]
"""A version of a file: for each number `ROWS` rows that have it."""
ABOUT_DATA = {
    FailureCode.DATA_CHANGED,
    FailureCode.DATA_INVALID,
    FailureCode.DATA_UNREADABLE,
    FailureCode.NAME_NOT_FOUND,
}


def _csv(blocks: Blocks, _: Path) -> bytes:
    rows = [f"{v},{i},{PADDING}\n" for v in blocks for i in range(ROWS)]
    return ("v,i,p\n" + "".join(rows)).encode()


def _json(blocks: Blocks, _: Path) -> bytes:
    rows = ({"v": v, "i": i, "p": PADDING} for v in blocks for i in range(ROWS))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(blocks: Blocks, _: Path) -> bytes:
    out = io.BytesIO()
    columns = {
        "v": [v for v in blocks for _ in range(ROWS)],
        "i": [i for _ in blocks for i in range(ROWS)],
    }
    pq.write_table(pa.table(columns), out, row_group_size=1000)
    return out.getvalue()


def _database(blocks: Blocks, beside: Path) -> bytes:
    made = beside / "made.duckdb"
    made.unlink(missing_ok=True)
    numbers = ", ".join(f"({v})" for v in blocks)
    with duckdb.connect(str(made)) as connection:
        connection.execute(
            f"CREATE TABLE t AS SELECT v, i FROM (VALUES {numbers}) AS b(v), range({ROWS}) AS r(i)"
        )
    return made.read_bytes()


CONTENT: dict[str, Callable[[Blocks, Path], bytes]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    "duckdb": _database,
}
STEPS = ("replace", "overwrite", "append", "delete", "half")
WRITES_OVER = {"overwrite", "append", "half"}
POINTS = ("before", "listed", "scanned", "planned", "half read", "read")


class Writer:
    """Writes the versions of one file, and knows which ones there were."""

    def __init__(self, path: Path, beside: Path) -> None:
        self._path, self._beside = path, beside
        self._content = CONTENT[path.suffix[1:]]
        self._next = 1
        self.blocks: Blocks | None = None
        """The version that is there; None while there is no whole one."""

    def replace(self) -> None:
        """By rename, as the page about data says."""
        self._put((self._number(),), by_rename=True)

    def overwrite(self) -> None:
        """In place."""
        self._put((self._number(),), by_rename=False)

    def append(self) -> None:
        """In place: what was there, and more rows."""
        self._put((*(self.blocks or ()), self._number()), by_rename=False)

    def half(self) -> None:
        """In place, and then the writer stops in the middle of a row.

        Of CSV between two values: one that ends inside of the last value looks whole to everybody.
        """
        content = self._content((self._number(),), self._beside)
        content = content[: len(content) // 2]
        if self._path.suffix == ".csv":
            content = content[: content.rindex(b",")]
        self._path.write_bytes(content)
        self.blocks = None

    def delete(self) -> None:
        """The file is gone."""
        self._path.unlink()
        self.blocks = None

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _put(self, blocks: Blocks, *, by_rename: bool) -> None:
        content = self._content(blocks, self._beside)
        target = self._beside / "new" if by_rename else self._path
        target.write_bytes(content)
        if by_rename:
            target.rename(self._path)
        self.blocks = blocks


class Source:
    """A directory or database that sessions are opened on, with a file that changes."""

    def __init__(self, root: Path, location: str) -> None:
        self._root = root
        data, self._copies, spill, beside = (
            root / name for name in ("data", "copies", "spill", "beside")
        )
        path = data / location
        for made in (path.parent, self._copies, spill, beside):
            made.mkdir(parents=True)
        self.writer = Writer(path, beside)
        self.others: Blocks = ()
        if path.parent != data:  # a second file of the table, which stays as it is
            (path.parent / f"other{path.suffix}").write_bytes(self.writer._content((1,), beside))
            self.others = (1,)
        self._options = {"dialect": "trino"}
        if path.suffix == ".duckdb":
            self._options["database"] = str(path)
        else:
            self._options |= {"data_dir": str(data), "copies_dir": str(self._copies)}

    def session(self) -> DuckDBSession:
        """A new one, as a worker's."""
        limits = EngineLimits(LIMITS, 2, str(self._root / "spill"), LIMITS)
        return open_session(self._options, limits)


class Step:
    """What the writer does, once, when the statement comes to its point."""

    def __init__(self, act: Callable[[], None], point: str) -> None:
        self._act, self._point = act, point
        self.is_done = False

    def at(self, point: str) -> None:
        """The statement is here now."""
        if point == self._point and not self.is_done:
            self.is_done = True
            self._act()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Tells the one step in the list when files have been listed, and when text is being read."""
    steps: list[Step] = []
    planned, take = snapshot.planned, TextStream._take

    def noting_planned(table: Table) -> Table:
        steps[-1].at("listed")
        return planned(table)

    def noting_take(stream: TextStream, size: int) -> bytes:
        if hasattr(stream, "encoding"):  # which the first bytes have shown
            steps[-1].at("scanned")
        return take(stream, size)

    monkeypatch.setattr(snapshot, "planned", noting_planned)
    monkeypatch.setattr(TextStream, "_take", noting_take)
    return steps


def _outcome(source: Source, step: Step) -> Blocks | Failure:
    """The version that a statement read; fails for rows of none, or for two in one statement."""
    step.at("before")
    try:
        session = source.session()
    except RunFailed as failed:
        return failed.failure
    try:
        step.at("listed")  # of a database: it is attached now
        planned = session.plan(TWICE, RowFilter(marks_deleted=False))
        step.at("planned")
        result = planned.connection.execute(planned.relation)
        rows = result.fetchmany(1000)
        step.at("half read")
        rows += result.fetchall()
        step.at("read")
        session.verify_rows()
    except (duckdb.Error, RunFailed) as error:
        known = error if isinstance(error, RunFailed) else session.failure_of(error)
        assert isinstance(known, RunFailed), known
        return known.failure
    finally:
        session.close()
    return _version(rows)


def _version(rows: list[tuple[int, int, int]]) -> Blocks:
    parts = [Counter((v, i) for part, v, i in rows if part == number) for number in (1, 2)]
    assert parts[0] == parts[1], "one statement read two versions"
    found = {v for v, _ in parts[0]}
    assert parts[0] == Counter((v, i) for v in found for i in range(ROWS)), "rows of no version"
    return tuple(sorted(found))


@pytest.mark.parametrize("location", ["t.csv", "t/a.json", "t.parquet", "d.duckdb"])
def test_a_statement_reads_one_version_or_fails_with_words(
    tmp_path: Path, here: list[Step], location: str
) -> None:
    source = Source(tmp_path, location)
    writer, seed = source.writer, random.Random(location)  # noqa: S311 - a course of events
    outcomes: Counter[str] = Counter()
    course = [(name, point) for name in STEPS for point in POINTS]
    for name, point in seed.sample(course, ROUNDS):
        writer.replace()
        before = writer.blocks
        step = Step(getattr(writer, name), point)
        here.append(step)
        found = _outcome(source, step)
        versions = [tuple(sorted((*blocks, *source.others)))
                    for blocks in (before, writer.blocks) if blocks is not None]  # fmt: skip
        if name == "delete" and source.others:
            versions.append(source.others)
        what = f"{name} at {point!r} of {location}: {found}"
        if isinstance(found, Failure):
            assert found.code in ABOUT_DATA, what
            assert "'t'" in found.message or "database" in found.message, what
            assert name in WRITES_OVER or point in {"before", "listed", "scanned"}, what
            outcomes["failed"] += 1
        else:
            assert found in versions, what
            assert not (step.is_done and name in WRITES_OVER and point in POINTS[3:]), what
            outcomes["read"] += 1
        if name == "replace" or not step.is_done:
            assert not isinstance(found, Failure), what
    assert min(outcomes["read"], outcomes["failed"]) >= 5, outcomes
