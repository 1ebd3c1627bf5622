"""The hot statements use their indexes, and the claim's cost does not grow with the queue."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from queryrun.db.sqlite import claims, transitions
from queryrun.db.sqlite.list_query import find_sql
from queryrun.db.sqlite.migrate import migrate_sqlite
from queryrun.db.sqlite.pending import WriteConnection
from queryrun.db.sqlite.statements import SQL
from queryrun.runs.state import RunEvent, RunState
from queryrun.runs.store import ClaimLimits, ClaimPositions, RunQuery

NOW_MS = 1_000_000
USES_INDEX = re.compile("USING (COVERING )?INDEX")
OF_THE_CTE = {"SCAN groups", "SCAN CONSTANT ROW", "SCAN json_each VIRTUAL TABLE INDEX 1:"}
QUEUED = (
    "INSERT INTO runs (id, tenant_id, entity_id, client_id, source, state, attempt,"
    " remaining_attempts, created_ms, updated_ms, ready_ms)"
    " VALUES ('run-' || ?, 't', 'e' || ?, 'c', 'live', 'accepted', 0, 3, ?, ?, ?)"
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(
        sqlite3.connect(tmp_path / "plans.db", factory=WriteConnection, isolation_level=None)
    ) as connection:
        migrate_sqlite(connection)
        yield connection


def fill(connection: sqlite3.Connection, count: int, *, entities: int = 5) -> None:
    """Queue runs, spread over a few entities."""
    connection.execute("BEGIN")
    times = (NOW_MS,) * 3
    connection.executemany(QUEUED, [(n, n % entities, *times) for n in range(count)])
    connection.execute(
        "INSERT INTO run_requests SELECT seq, 'SELECT 1', 'csv', 'none', NULL, NULL, 'exclude',"
        " NULL, '[]', '[]', 3, '[]', NULL, NULL, '[]', NULL FROM runs"
    )
    connection.execute("COMMIT")


def plan(connection: sqlite3.Connection, statement: str) -> str:
    """EXPLAIN QUERY PLAN with anything bound."""
    values = dict.fromkeys(re.findall(r":(\w+)", SQL[statement]), 1)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {SQL[statement]}", values).fetchall()
    return "\n".join(row[3] for row in rows)


def steps_of_claim(connection: sqlite3.Connection) -> int:
    """Virtual machine steps, in tens, of one claim of four runs, rolled back."""
    ticks = [0]

    def tick() -> int:
        ticks[0] += 1
        return 0

    claimant = claims.Claimant("node", NOW_MS, NOW_MS + 1000)
    connection.execute("BEGIN IMMEDIATE")
    connection.set_progress_handler(tick, 10)
    claimed = claims.claim(
        connection, claimant, ClaimLimits(("live",), 4, {"live": 5}), ClaimPositions()
    )
    connection.set_progress_handler(None, 0)
    connection.execute("ROLLBACK")
    assert len(claimed) == 4
    return ticks[0]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("queue_heads", "runs_waiting"),
        ("next_ready", "runs_paused"),
        ("next_of_client", "runs_waiting"),
        ("running", "runs_held"),
        ("queue_reaches", "runs_waiting"),
        ("queue_of_client_reaches", "runs_waiting"),
        ("queue_position", "runs_waiting"),
        ("counts", "runs_held"),
        ("longest_queues", "runs_waiting"),
        ("started_times", "runs_held"),
        ("expired_runs", "runs_ended"),
        ("extend_lease", "sqlite_autoindex_runs_1"),
        ("state_of_attempt", "sqlite_autoindex_runs_1"),
        ("progress", "sqlite_autoindex_runs_1"),
        ("expired_leases", "attempts_live"),
        ("run_by_id", "sqlite_autoindex_runs_1"),
    ],
)
def test_hot_statements_use_their_index(
    connection: sqlite3.Connection, statement: str, index: str
) -> None:
    fill(connection, 200)
    text = plan(connection, statement)
    assert index in text
    scans = [line for line in text.splitlines() if line.startswith("SCAN ")]
    assert all(USES_INDEX.search(line) or line in OF_THE_CTE for line in scans), text


LISTS = {
    "all": RunQuery("t", client_id="c"),
    "of-a-tenant": RunQuery("t"),
    "of-an-entity": RunQuery("t", entity_id="e1"),
    "filtered": RunQuery(
        "t",
        "e1",
        "c",
        states=frozenset({RunState.FAILED}),
        sources=frozenset({"live"}),
        created_from=datetime(2026, 1, 1, tzinfo=UTC),
        created_before=datetime(2026, 2, 1, tzinfo=UTC),
        after=(5, 6),
    ),
    "common-tag": RunQuery("t", client_id="c", tags=(("a", "b"),)),
}


def plan_of_list(connection: sqlite3.Connection, query: RunQuery, *, by_tag: bool) -> list[str]:
    statement, values = find_sql(query, by_tag=by_tag)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize("query", LISTS.values(), ids=LISTS.keys())
def test_a_list_reads_the_stretches_of_its_owners_index_and_scans_nothing(
    connection: sqlite3.Connection, query: RunQuery
) -> None:
    fill(connection, 200)
    steps = plan_of_list(connection, query, by_tag=False)
    owner, more = ("client", " AND client_id=?") if query.client_id else ("tenant", "")
    whole = f"runs_of_{owner} (tenant_id=?{more} AND entity_id=? AND source=? AND state=?"
    assert [step for step in steps if whole in step], steps
    scans = [step for step in steps if step.startswith("SCAN ")]
    assert all(
        step in {"SCAN s", "SCAN p"} or "(subquery" in step or "json_each" in step for step in scans
    ), steps


def test_a_list_of_runs_with_a_tag_reads_the_tags_in_its_order(
    connection: sqlite3.Connection,
) -> None:
    fill(connection, 200)
    query = RunQuery("t", client_id="c", tags=(("a", "b"), ("c", "d")))
    steps = plan_of_list(connection, query, by_tag=True)
    assert "SEARCH x USING PRIMARY KEY (tenant_id=? AND name=? AND value=?)" in steps
    assert not [step for step in steps if step.startswith("SCAN ") and step[5:] not in {"x", "p"}]


def test_the_claim_never_sorts_the_queue(connection: sqlite3.Connection) -> None:
    fill(connection, 200)
    assert "TEMP B-TREE" not in plan(connection, "queue_heads")
    assert "TEMP B-TREE" not in plan(connection, "next_of_client")


def test_a_claim_costs_the_same_for_ten_runs_and_for_ten_thousand(
    connection: sqlite3.Connection,
) -> None:
    fill(connection, 10)
    few = steps_of_claim(connection)
    connection.execute("DELETE FROM runs")
    connection.execute("DELETE FROM run_requests")
    fill(connection, 10_000)
    many = steps_of_claim(connection)
    assert many <= few * 1.2


def test_a_claim_costs_the_same_for_a_hundred_clients_and_for_four_thousand(
    connection: sqlite3.Connection,
) -> None:
    fill(connection, 100, entities=100)
    few = steps_of_claim(connection)
    connection.execute("DELETE FROM runs")
    connection.execute("DELETE FROM run_requests")
    fill(connection, 8000, entities=4000)
    many = steps_of_claim(connection)
    assert many <= few * 1.5


def test_every_change_of_state_is_one_conditional_update() -> None:
    for statement in transitions.UPDATES.values():
        assert statement.endswith("WHERE seq = :seq AND state = :before AND attempt = :attempt")
        assert statement.count("UPDATE runs SET state = :after") == 1


def test_only_one_function_writes_the_state_of_a_run() -> None:
    """The changes and the insert of a new run are the only statements that set `runs.state`."""
    writers = {name for name, statement in SQL.items() if "UPDATE runs SET state" in statement}
    assert writers == {f"update_{event}" for event in RunEvent}
    folder = Path(transitions.__file__).parent
    users = [path.name for path in folder.glob("*.py") if "update_" in path.read_text()]
    assert users == ["transitions.py"]
    assert (folder / "transitions.py").read_text().count("UPDATES[") == 1
