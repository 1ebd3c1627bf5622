"""PostgreSQL serves the hot statements from their indexes, planned for empty tables or full ones.

And the cost of a claim does not grow with the queue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from queryrun.db.postgres.connect import Connection, connect, conninfo_of
from queryrun.db.postgres.connections import create_functions
from queryrun.db.postgres.database import open_postgres
from queryrun.db.postgres.list_query import find_sql
from queryrun.db.postgres.statements import DATABASE_CLOCK, statements
from queryrun.runs.state import TRANSITIONS, RunEvent, RunState
from queryrun.runs.store import RunQuery
from tests.postgres_server import PostgresServer

SQL = statements(DATABASE_CLOCK)
FILL = """
WITH added AS (
    INSERT INTO runs (id, tenant_id, entity_id, client_id, source, state, attempt,
        remaining_attempts, created_ms, updated_ms, ready_ms)
    SELECT 'run-' || n, 't' || n %% 10, 'e' || n %% %s, 'c' || n %% 40, 'live', %s, 0, 3, n, n, 1
    FROM generate_series(1, %s) n RETURNING seq
)
INSERT INTO run_requests
SELECT seq, 'SELECT 1', 'csv', 'none', NULL, NULL, 'exclude', NULL, '[]', '[]', 3, '[]', NULL, NULL,
    '[]', NULL
FROM added
"""
CHOICE = (
    "WITH "
    + SQL["choice"]
    .replace("unnest(sources, tenant_limits, entity_limits, client_limits,", "unnest(")
    .replace(
        "after_tenants, after_entities, after_clients)",
        "ARRAY['live'], ARRAY[5::bigint], ARRAY[9::bigint], ARRAY[9::bigint],"
        " ARRAY[''], ARRAY[''], ARRAY[''])",
    )
    .replace(
        "unnest(own_levels, own_subjects, own_limits)",
        "unnest(ARRAY['client'], ARRAY['c1'], ARRAY[8::bigint])",
    )
    .replace("< max_heads", "< 80")
    .replace("fair_slots", "0::bigint")
    .replace("slots", "4::bigint")
    .replace("now_ms", "1000")
    + " SELECT seq FROM picked ORDER BY position"
)


@pytest.fixture
def connection(postgres_server: PostgresServer) -> Iterator[Connection]:
    """A session as the stores have it, on tables that are new: what others left in the files and
    the statistics of a database that is used again would be planned for too."""
    name = postgres_server.new_database()
    url = postgres_server.url(name)
    open_postgres(url).close()
    with closing(connect(conninfo_of(url), durable=False)) as connected:
        create_functions(connected, SQL)
        connected.execute(
            "SET statement_timeout = 0"
        )  # to fill tables takes long on a busy machine
        yield connected
    postgres_server.drop_database(name)


def fill(connection: Connection, count: int, *, entities: int = 5, state: str = "accepted") -> None:
    connection.execute(FILL, (entities, state, count))


def explained(connection: Connection, statement: str, *options: str) -> dict[str, Any]:
    """The plan with nothing bound: what a prepared statement has for every value."""
    text = f"EXPLAIN (FORMAT JSON{''.join(options)}) {statement}"
    [(found,)] = connection.execute(text.encode(), prepare=False).fetchall()
    plan: dict[str, Any] = (found if isinstance(found, list) else json.loads(found))[0]
    return plan


def generic(connection: Connection, statement: str) -> list[dict[str, Any]]:
    """The nodes of the plan for parameters that are not known."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered, count = statement, len(names) or statement.count("%s")
    for n in range(1, count + 1):
        placeholder = f"%({names[n - 1]})s" if names else "%s"
        numbered = numbered.replace(placeholder, f"${n}", -1 if names else 1)
    connection.execute(f"PREPARE looked_at AS {numbered}".encode(), prepare=False)
    try:
        nulls = f"({', '.join(['NULL'] * count)})" if count else ""
        plan = explained(connection, f"EXECUTE looked_at{nulls}")
    finally:
        connection.execute("DEALLOCATE looked_at", prepare=False)
    return list(nodes(plan["Plan"]))


def read_whole(connection: Connection, found: list[dict[str, Any]]) -> list[str]:
    """The keys of tables through which a plan reads everything: without a condition on their first
    column."""
    keys: dict[str, str] = dict(connection.execute(FIRST_COLUMNS, prepare=False).fetchall())
    return [
        index
        for node in found
        if (index := node.get("Index Name")) in keys
        and not re.search(rf"\b{keys[index]}\b", node.get("Index Cond", ""))
    ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


FIRST_COLUMNS = """
SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique
"""
INDEXES = {
    "run_by_id": {"runs_id_key", "run_requests_pkey"},
    "runs_by_seq": {"runs_pkey", "run_requests_pkey"},
    "save_handle": {"runs_id_key", "attempts_pkey"},
    "queue_position": {"runs_id_key", "runs_waiting"},
    "counts": {"runs_waiting", "runs_held"},
    "longest_queues": {"runs_waiting"},
    "started_times": {"runs_held", "run_events_pkey"},
    "expired_share": {"runs_ended"},
    "recorded_removals": {"file_removals_recorded"},
    "remove_expired_runs": {"runs_ended", "attempts_pkey", "run_requests_pkey"},
    "progress": {"runs_id_key", "attempts_pkey"},
    "extend_leases": {"runs_id_key", "attempts_pkey"},
    "expired_leases": {"attempts_live", "runs_pkey"},
    "take_over": {"runs_id_key", "attempts_pkey"},
    "next_ready": {"runs_paused"},
    "client_of_token": {"tokens_pkey", "clients_id_key"},
}


@pytest.mark.parametrize("full", [False, True])
def test_hot_statements_use_their_indexes(connection: Connection, full: bool) -> None:
    if full:
        fill(connection, 4000)
        connection.execute("UPDATE runs SET state = 'complete' WHERE seq % 10 > 0", prepare=False)
        connection.execute("ANALYZE")
    for statement, indexes in INDEXES.items():
        found = generic(connection, SQL[statement])
        assert {node.get("Index Name") for node in found} >= indexes, statement
        assert not [node for node in found if node["Node Type"] == "Seq Scan"], statement
        assert full or not read_whole(connection, found), statement


def test_a_change_of_state_finds_its_rows_by_their_keys(connection: Connection) -> None:
    for event in (RunEvent.COMPLETE, RunEvent.CANCEL, RunEvent.FREED):
        bound = SQL[event].replace("%(run_id)s", "'run-1'").replace("%(number)s", "1")
        plain = "NULL".join(part.split(")s", 1)[-1] for part in bound.split("%("))
        found = list(nodes(explained(connection, plain)["Plan"]))
        assert "runs_id_key" in {node.get("Index Name") for node in found}, event
        assert not [node for node in found if node["Node Type"] == "Seq Scan"], event


LISTS = [
    RunQuery("t1", client_id="c1"),
    RunQuery("t1"),
    RunQuery("t1", entity_id="e1"),
    RunQuery(
        "t1",
        "e1",
        "c1",
        states=frozenset({RunState.FAILED}),
        sources=frozenset({"live"}),
        created_from=datetime(1970, 1, 1, tzinfo=UTC),
        created_before=datetime(2026, 2, 1, tzinfo=UTC),
        after=(5, 6),
    ),
    RunQuery("t1", client_id="c1", tags=(("a", "b"),)),
]


def nodes_of_list(connection: Connection, query: RunQuery, *, by_tag: bool) -> list[dict[str, Any]]:
    statement, values = find_sql(SQL, query, by_tag=by_tag)
    explain = "EXPLAIN (FORMAT JSON) " + statement
    [(found,)] = connection.execute(explain.encode(), values, prepare=False).fetchall()
    return list(nodes((found if isinstance(found, list) else json.loads(found))[0]["Plan"]))


def test_a_list_reads_the_stretches_of_its_owners_index_and_scans_nothing(
    connection: Connection,
) -> None:
    """Where a stretch has thousands of runs: a few are as well read in any other way."""
    fill(connection, 6000)
    connection.execute("UPDATE runs SET tenant_id = 't1', entity_id = 'e1', client_id = 'c1'")
    connection.execute(
        "INSERT INTO run_tags SELECT tenant_id, 'a', 'b', created_ms, seq FROM runs", prepare=False
    )
    for full in ("runs", "run_requests", "run_tags"):
        connection.execute(f"VACUUM ANALYZE {full}".encode())
    for query in LISTS:
        found = nodes_of_list(connection, query, by_tag=False)
        index = "runs_of_client" if query.client_id else "runs_of_tenant"
        stretches = [node for node in found if node.get("Index Name") == index]
        assert any("state" in node.get("Index Cond", "") for node in stretches), query
        scans = {"Seq Scan", "Bitmap Heap Scan"}
        assert not [node for node in found if node["Node Type"] in scans], query


def test_a_list_of_runs_with_a_tag_reads_the_tags_in_its_order(connection: Connection) -> None:
    """Whether one run in a thousand has the tag or each has."""
    fill(connection, 3000)
    connection.execute(
        "INSERT INTO run_tags SELECT tenant_id, 'job', 'j' || seq % 1000, created_ms, seq FROM runs"
        " UNION ALL SELECT tenant_id, 'all', 'x', created_ms, seq FROM runs",
        prepare=False,
    )
    connection.execute("VACUUM ANALYZE runs")
    connection.execute("VACUUM ANALYZE run_tags")
    for tag in (("job", "j1"), ("all", "x"), ("no", "such")):
        found = nodes_of_list(connection, RunQuery("t1", tags=(tag,), limit=30), by_tag=True)
        assert "run_tags_pkey" in {node.get("Index Name") for node in found}
        assert not [node for node in found if node["Node Type"] == "Seq Scan"]


def buffers_of_claim(connection: Connection) -> int:
    """Pages touched by one choice of four runs."""
    plan = explained(connection, CHOICE, ", ANALYZE, BUFFERS, TIMING OFF")
    assert plan["Plan"]["Actual Rows"] == 4
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


def test_a_claim_costs_about_the_same_for_ten_runs_and_for_twenty_thousand(
    connection: Connection,
) -> None:
    fill(connection, 40)
    few = buffers_of_claim(connection)
    connection.execute("DELETE FROM runs")
    connection.execute("DELETE FROM run_requests")
    fill(connection, 20_000)
    connection.execute("VACUUM ANALYZE runs")
    many = buffers_of_claim(connection)
    assert many <= 3 * few, "an index of three levels instead of one, and nothing else"


def test_a_claim_costs_about_the_same_for_a_hundred_clients_and_for_four_thousand(
    connection: Connection,
) -> None:
    fill(connection, 100, entities=100)
    few = buffers_of_claim(connection)
    connection.execute("DELETE FROM runs")
    connection.execute("DELETE FROM run_requests")
    fill(connection, 8000, entities=4000)
    connection.execute("VACUUM ANALYZE runs")
    many = buffers_of_claim(connection)
    assert many <= 3 * few, "an index of three levels instead of one, and nothing else"


def test_a_claim_compares_none_of_the_clients_with_each_of_the_others(
    connection: Connection,
) -> None:
    """Of which it considers 80. No buffer is read for that, so nothing above would show it."""
    fill(connection, 2000, entities=1000)
    connection.execute("ANALYZE runs")
    plan = explained(connection, CHOICE, ", ANALYZE, TIMING OFF")
    assert max(rows_read(node) for node in nodes(plan["Plan"])) < 10 * 80


def rows_read(node: dict[str, Any]) -> int:
    """The rows of a step, with those that it dropped."""
    dropped = sum(int(count) for name, count in node.items() if name.startswith("Rows Removed"))
    return (int(node["Actual Rows"]) + dropped) * int(node["Actual Loops"])


def test_the_claim_reads_the_queue_through_its_index_alone(connection: Connection) -> None:
    """On analyzed tables; the server analyzes them by itself within a minute."""
    fill(connection, 200)
    connection.execute("ANALYZE")
    found = list(nodes(explained(connection, CHOICE)["Plan"]))
    scans = {node.get("Index Name") for node in found if node.get("Relation Name") == "runs"}
    assert scans == {"runs_waiting", "runs_held"}


def test_every_change_of_state_is_one_conditional_update() -> None:
    for event in RunEvent:
        if event is RunEvent.CLAIM:
            continue
        text = SQL[event]
        assert text.count("UPDATE runs") == 1
        for (state, candidate), after in TRANSITIONS.items():
            assert (f"WHEN '{state}' THEN '{after}'" in text) == (candidate is event)


def test_only_the_changes_and_the_claim_write_the_state_of_a_run() -> None:
    changes = {event.value for event in RunEvent} - {RunEvent.CLAIM.value}
    writers = {name for name, statement in SQL.items() if "UPDATE runs" in statement}
    assert writers == changes | {"create_claim_runs"}
    assert SQL["create_claim_runs"].count("UPDATE runs") == 1
    claim = TRANSITIONS[next(key for key in TRANSITIONS if key[1] is RunEvent.CLAIM)]
    assert f"SET state = '{claim}'" in SQL["create_claim_runs"]
