"""`/readyz` uses what a caller needs, and names the part that does not work and why."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from queryrun.settings import DATABASE_NAME
from tests.e2e.conftest import Server, ServerHarness, wait_logged


def checks(server: Server) -> dict[str, str]:
    """The checks that are not `ok`."""
    found: dict[str, str] = server.http.get("/readyz").json()["checks"]
    return {name: state for name, state in found.items() if state != "ok"}


def until(server: Server, state: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """The checks once they are as expected. A check is a second old at most, so it polls."""
    deadline = time.monotonic() + 30
    while not state(found := checks(server)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def events(harness: ServerHarness, name: str, part: str) -> list[dict[str, Any]]:
    """The log's events of this name, of one part, once there is one: a thread writes the log."""
    deadline = time.monotonic() + 30
    while not (found := _logged(harness.log, name, part)):
        assert time.monotonic() < deadline, (name, part)
        time.sleep(0.05)
    return found


def _logged(log: Path, name: str, part: str) -> list[dict[str, Any]]:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    found = [json.loads(line) for line in lines]
    return [event for event in found if event["event"] == name and event.get("part") == part]


def submitted(server: Server) -> int:
    """The status of a submit."""
    body = {"sql": "SELECT 1", "content_type": "csv"}
    return server.http.post("/v2/query_runs", json=body).status_code


def gauge(server: Server, line: str) -> str:
    """The value of a line of `/metrics`; empty when it is not there."""
    text = server.http.get("/metrics").text
    return next((one.split()[-1] for one in text.splitlines() if one.startswith(line)), "")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process would do the same: the database is locked for writers."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_database_that_another_process_has_locked_is_named_and_comes_back(
    harness: ServerHarness,
) -> None:
    server = harness.serve()
    with locked(harness.made.home / DATABASE_NAME):
        until(server, lambda found: "locked by process" in found.get("store", ""))
        assert server.http.get("/readyz").status_code == 503
        line = 'queryrun_part_problem{cause="locked",part="store"}'
        assert gauge(server, line) in {"1.0", ""}, "a slow probe is another cause"
    until(server, lambda found: not found)
    assert submitted(server) == 201
    assert gauge(server, 'queryrun_part_available{part="store"}') == "1.0"
    assert len(events(harness, "part_unavailable", "store")) == 1
    assert len(events(harness, "part_available", "store")) == 1


def test_a_disk_that_takes_no_writes_is_named(harness: ServerHarness) -> None:
    server = harness.serve()
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    found = until(server, lambda found: {"store", "results", "spill"} <= found.keys())
    assert "limit of a file's size" in found["results"]
    assert submitted(server) == 503
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
    until(server, lambda found: not found)
    assert submitted(server) == 201


def _deleted(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def _log_deleted(database: Path) -> None:
    database.with_name(f"{database.name}-wal").unlink()


def _emptied(database: Path) -> None:
    with database.open("r+b") as file:
        file.truncate(0)


def _replaced(database: Path) -> None:
    other = database.with_name("other")
    shutil.copy(database, other)
    other.replace(database)


def _overwritten(database: Path) -> None:
    """As `cp other.db queryrun.db` does: the file keeps its inode."""
    with closing(sqlite3.connect(database.with_name("other"))) as other:
        other.execute("CREATE TABLE t (a)")
        other.commit()
    database.write_bytes(database.with_name("other").read_bytes())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_deleted, "was deleted"),
        (_log_deleted, "-wal was deleted"),
        (_emptied, "was emptied"),
        (_replaced, "was replaced"),
        (_overwritten, "was replaced"),
    ],
)
def test_a_database_that_is_gone_stops_acceptance_at_once_and_is_named(
    harness: ServerHarness, damage: Callable[[Path], None], words: str
) -> None:
    server = harness.serve()
    assert submitted(server) == 201
    damage(harness.made.home / DATABASE_NAME)
    assert submitted(server) == 503
    found = until(server, lambda found: "store" in found)
    assert words in found["store"]
    assert server.http.get("/readyz").status_code == 503
    assert words in events(harness, "part_unavailable", "store")[0]["reason"]


def test_an_older_copy_that_is_written_over_the_database_is_noticed(harness: ServerHarness) -> None:
    """As an operator does who restores a backup and forgets to stop the server first."""
    server, database = harness.serve(), harness.made.home / DATABASE_NAME
    assert submitted(server) == 201
    backup = database.read_bytes()
    with closing(sqlite3.connect(database, timeout=20)) as other:
        other.execute("CREATE TABLE since (a)")
        other.commit()
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    assert submitted(server) == 201
    database.write_bytes(backup)
    assert submitted(server) in {401, 503}, "the backup may be older than the token"
    assert "was replaced" in until(server, lambda found: "store" in found)["store"]


def test_a_missing_database_is_not_made_anew_at_start(harness: ServerHarness) -> None:
    database = harness.made.home / DATABASE_NAME
    kept = database.read_bytes()
    database.unlink()
    assert f"{DATABASE_NAME} is missing" in harness.refused_to_serve()
    assert not database.exists()
    database.write_bytes(b"")
    assert f"{DATABASE_NAME} is empty" in harness.refused_to_serve()
    database.write_bytes(kept)
    assert submitted(harness.serve()) == 201


def test_missing_data_of_an_entity_degrades_the_node_and_the_log_names_it(
    harness: ServerHarness,
) -> None:
    server = harness.serve()
    data = harness.made.data_dir
    data.rename(data.with_name("away"))
    found = until(server, lambda found: "data live" in found)
    assert "1 entity is missing" in found["data live"]
    ready = server.http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    wait_logged(harness.log, '"entities": ["main"]')
    data.with_name("away").rename(data)
    until(server, lambda found: not found)


def test_directories_that_were_removed_are_made_anew_and_runs_go_on(harness: ServerHarness) -> None:
    server = harness.serve()
    for name in ("results", "spill"):
        shutil.rmtree(harness.made.home / name)
    done = server.finished(server.submit("SELECT 42 AS a")["id"])
    assert (done["state"], server.file_text(done)) == ("complete", "a\n42\n")
    until(server, lambda found: not found)


def test_runs_wait_without_a_charge_while_results_cannot_be_written(
    harness: ServerHarness,
) -> None:
    server = harness.serve()
    results = harness.made.home / "results"
    shutil.rmtree(results)
    results.write_text("a file where a directory must be")
    found = until(server, lambda found: "results" in found)
    assert "a file where a directory must be" in found["results"]
    run = server.submit("SELECT 42 AS a")
    waiting = server.get(run["id"], "waiting_for")["waiting_for"]
    assert waiting == f"results: {found['results']}"
    results.unlink()
    done = server.finished(run["id"])
    assert (done["state"], done["remaining_attempts"]) == ("complete", 3)
    assert len(events(harness, "part_unavailable", "results")) == 1
