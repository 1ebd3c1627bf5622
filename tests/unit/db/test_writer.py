"""The writer: units are atomic one by one, durable in groups, and no caller waits forever."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queryrun.db.sqlite.pending import WriteConnection, pending_of
from queryrun.db.sqlite.writer import BATCH_LIMIT, Unit, Writer
from queryrun.errors import Unavailable

pytestmark = pytest.mark.anyio


def connect(path: Path) -> WriteConnection:
    return sqlite3.connect(
        path, factory=WriteConnection, isolation_level=None, check_same_thread=False, timeout=0.05
    )


class Recorder:
    """The statements a connection really ran."""

    def __init__(self, connection: WriteConnection) -> None:
        self.statements: list[str] = []
        connection.set_trace_callback(self.statements.append)

    def count(self, statement: str) -> int:
        return self.statements.count(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "writer.db"


@pytest.fixture
def connection(path: Path) -> WriteConnection:
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE words (word TEXT PRIMARY KEY)")
    return connection


@pytest.fixture
def recorder(connection: WriteConnection) -> Recorder:
    return Recorder(connection)


@pytest.fixture
def writer(connection: WriteConnection) -> Iterator[Writer]:
    writer = Writer(connection, queue_limit=2 * BATCH_LIMIT)
    yield writer
    writer.close()


def add(word: str) -> Unit[int]:
    return lambda db: db.execute("INSERT INTO words VALUES (?)", (word,)).rowcount


def words(path: Path) -> list[str]:
    with closing(connect(path)) as connection:
        rows = connection.execute("SELECT word FROM words ORDER BY word").fetchall()
    return [word for (word,) in rows]


class Gate:
    """A unit that keeps the writer busy until it is opened, so that others queue behind it."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self, connection: sqlite3.Connection) -> None:
        self._entered.set()
        assert self._opened.wait(10)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.wait, 10)

    def open(self) -> None:
        self._opened.set()


async def behind_a_gate(writer: Writer, *units: tuple[Unit[object], bool]) -> list[object]:
    """Run the units in one batch; their results or errors."""
    gate = Gate()
    first = asyncio.create_task(writer.write(gate, durable=False))
    await gate.entered()
    tasks = [asyncio.create_task(writer.write(unit, durable=durable)) for unit, durable in units]
    await asyncio.sleep(0)
    gate.open()
    await first
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_a_result_is_returned_after_the_commit(writer: Writer, path: Path) -> None:
    assert await writer.write(add("one"), durable=True) == 1
    assert words(path) == ["one"]


async def test_units_that_wait_are_committed_together(
    writer: Writer, recorder: Recorder, path: Path
) -> None:
    await behind_a_gate(writer, *((add(f"w{n:03}"), True) for n in range(50)))
    assert len(words(path)) == 50
    assert recorder.count("COMMIT") == 2


async def test_a_batch_is_bounded(writer: Writer, recorder: Recorder) -> None:
    await behind_a_gate(writer, *((add(f"w{n}"), False) for n in range(BATCH_LIMIT + 1)))
    assert recorder.count("COMMIT") == 3


async def test_a_failing_unit_is_rolled_back_alone(writer: Writer, path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO words VALUES ('half')")
        raise KeyError("half")

    results = await behind_a_gate(
        writer, (add("one"), True), (half_done, True), (add("one"), True), (add("two"), True)
    )
    assert [type(result) for result in results] == [int, KeyError, sqlite3.IntegrityError, int]
    assert words(path) == ["one", "two"]


async def test_a_unit_that_notes_something_and_fails_leaves_no_note(
    writer: Writer, connection: WriteConnection, path: Path
) -> None:
    connection.execute(
        "CREATE TABLE usage (tenant_id, entity_id, client_id, bucket DEFAULT 0, "
        "statement_bytes, result_bytes, written_day, written_bytes, "
        "PRIMARY KEY (tenant_id, entity_id, client_id, bucket))"
    )

    def note(db: sqlite3.Connection) -> None:
        pending_of(db).add_usage(("t", "e", "c", 1), (5, 0, 0))

    def note_and_fail(db: sqlite3.Connection) -> None:
        note(db)
        raise KeyError("noted")

    results = await behind_a_gate(
        writer, (note, True), (note_and_fail, True), (note, False), (add("one"), True)
    )
    assert [type(result) for result in results] == [type(None), KeyError, type(None), int]
    with closing(connect(path)) as other:
        assert other.execute("SELECT statement_bytes FROM usage").fetchall() == [(10,)]


async def test_a_unit_that_fails_before_it_writes_costs_its_batch_no_second_run(
    writer: Writer, recorder: Recorder
) -> None:
    def refuse(db: sqlite3.Connection) -> None:
        raise KeyError("refused")

    await behind_a_gate(writer, (add("one"), True), (refuse, True), (add("two"), True))
    assert recorder.count("SAVEPOINT unit") == 0
    assert recorder.count("ROLLBACK") == 0
    assert recorder.count("COMMIT") == 2


async def test_a_batch_is_fsynced_exactly_when_a_unit_requests_it(
    writer: Writer, recorder: Recorder
) -> None:
    for durable in (False, False, True, True, False):
        await writer.write(add(f"{len(recorder.statements)}"), durable=durable)
    pragmas = [s.split(" = ")[1] for s in recorder.statements if s.startswith("PRAGMA sync")]
    assert pragmas == ["NORMAL", "FULL", "NORMAL"]


async def test_one_durable_unit_makes_its_batch_durable(writer: Writer, recorder: Recorder) -> None:
    await behind_a_gate(writer, (add("one"), False), (add("two"), True))
    begun = len(recorder.statements) - recorder.statements[::-1].index("BEGIN IMMEDIATE")
    assert recorder.statements[begun - 2] == "PRAGMA synchronous = FULL"


async def test_a_full_queue_refuses_immediately(writer: Writer) -> None:
    units = [(add(f"w{n}"), False) for n in range(2 * BATCH_LIMIT + 3)]
    results = await behind_a_gate(writer, *units)
    assert sum(isinstance(result, Unavailable) for result in results) == 3
    assert await writer.write(add("after"), durable=False) == 1


async def test_a_locked_database_is_unavailable_and_then_works_again(
    writer: Writer, path: Path
) -> None:
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await writer.write(add("one"), durable=True)
        other.execute("ROLLBACK")
    assert await writer.write(add("one"), durable=True) == 1


async def test_a_full_disk_is_unavailable_and_loses_nothing_acknowledged(
    writer: Writer, path: Path
) -> None:
    def limit(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA max_page_count = 8")

    def fill(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO words VALUES (?)", ("x" * 1_000_000,))

    await writer.write(add("before"), durable=True)
    await writer.write(limit, durable=True)
    with pytest.raises(Unavailable) as full:
        await writer.write(fill, durable=True)
    assert isinstance(full.value.__cause__, sqlite3.OperationalError)
    assert await writer.write(add("small"), durable=True) == 1
    assert words(path) == ["before", "small"]


async def test_the_error_contains_nothing_of_the_statement(writer: Writer, path: Path) -> None:
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as away:
            await writer.write(add("a secret"), durable=True)
    assert "words" not in str(away.value)
    assert "secret" not in f"{away.value}{away.value.__cause__}"


async def test_closing_finishes_what_is_queued(connection: WriteConnection, path: Path) -> None:
    writer, gate = Writer(connection), Gate()
    busy = asyncio.create_task(writer.write(gate, durable=False))
    await gate.entered()
    tasks = [asyncio.create_task(writer.write(add(f"w{n}"), durable=True)) for n in range(5)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.to_thread(writer.close)
    await asyncio.gather(busy, *tasks)
    assert len(words(path)) == 5


async def test_a_closed_writer_refuses(connection: WriteConnection) -> None:
    writer = Writer(connection)
    writer.close()
    writer.close()
    with pytest.raises(Unavailable):
        await writer.write(add("late"), durable=False)


async def test_a_canceled_caller_does_not_withdraw_its_unit(writer: Writer, path: Path) -> None:
    gate = Gate()
    busy = asyncio.create_task(writer.write(gate, durable=False))
    await gate.entered()
    leaving = asyncio.create_task(writer.write(add("kept"), durable=True))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.open()
    await busy
    await writer.write(add("next"), durable=True)
    assert words(path) == ["kept", "next"]
    assert leaving.cancelled()
