"""A node that owns its store does not take its own attempts for those of a dead one."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from queryrun.settings import DATABASE_NAME
from tests.e2e.conftest import ServerHarness

SLOW = "SELECT count(*) AS a FROM range(6000000000)"


def test_the_store_may_be_away_for_longer_than_a_lease(harness: ServerHarness) -> None:
    """Leases last 3 s in these tests, and the reaper looks twice a second."""
    server = harness.serve()
    run = server.submit(SLOW)
    server.computing_worker(run["id"])
    with closing(sqlite3.connect(harness.made.home / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(4.5)  # more than the lease; nothing to wait for happens
        other.execute("UPDATE attempts SET lease_until_ms = 1 WHERE ended_ms IS NULL")
        other.execute("COMMIT")
    done = server.finished(run["id"])
    assert (done["state"], done["remaining_attempts"]) == ("complete", 3)
    assert "expired_attempt_recovered" not in harness.log.read_text()


def test_a_run_from_before_the_clock_was_set_back_starts(harness: ServerHarness) -> None:
    server = harness.serve({"QUERYRUN_WORKERS__SLOTS": "0"})
    run = server.submit("SELECT 42 AS a")
    assert server.terminate() == 0
    with closing(sqlite3.connect(harness.made.home / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("UPDATE runs SET ready_ms = ready_ms + 3600000")
    again = harness.serve()
    assert again.finished(run["id"])["state"] == "complete"
