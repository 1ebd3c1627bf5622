"""kill -9 of the server at every point between a cancel and its confirmation; then a restart."""

from __future__ import annotations

import httpx2 as httpx
import pytest

from tests.cluster.test_outages import wait_until
from tests.e2e.conftest import Server, ServerHarness
from tests.e2e.test_crashes import gone
from tests.faults.crashing_server import CRASH_AT, REACHED
from tests.faults.node_harness import RUNAWAY

RECORDED = [
    "runs.cancel:after",
    "workers.stop:before",
    "workers.stop:after",
    "results.discard:before",
    "results.discard:after",
    "runs.freed:before",
    "runs.freed:after",
]
"""In the order in which they are reached. From the first on, the cancel is recorded."""
BEFORE_THE_HANDLE = ["runs.save_handle:before", "runs.save_handle:after"]


CRASHING = ("tests.faults.crashing_server",)


def crash_at(harness: ServerHarness, point: str) -> None:
    """From now on the server dies at the point."""
    (harness.made.home / CRASH_AT).write_text(point)


def cancel_into_the_crash(harness: ServerHarness, server: Server, run_id: str) -> None:
    """Request a cancel that gets no response, and wait until the server is dead. The next one lives
    on."""
    below = server.workers()
    with pytest.raises(httpx.TransportError):
        server.cancel(run_id)
    assert server.process.wait(timeout=30) == -9
    assert gone(below), "a killed server leaves no process behind"
    (harness.made.home / CRASH_AT).unlink()


def assert_canceled_after_restart(harness: ServerHarness, run_id: str) -> Server:
    """The run ends canceled, nothing of it runs, there is no file, and so it stays. Returns the
    server that was started."""
    server = harness.serve(program=CRASHING)
    done = server.finished(run_id)
    assert done["state"] == "canceled", done
    record = server.get(run_id, "cancellation,attempts")
    assert record["cancellation"]["reason"] == "user"
    assert "canceled_time" in record["cancellation"]
    assert len(record["attempts"]) <= 1
    assert server.workers_of(run_id) == []
    assert server.result_files() == []
    again = server.cancel(run_id)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "run_already_canceled")
    return server


@pytest.mark.timeout(600)  # eight servers are started
def test_a_running_run(harness: ServerHarness) -> None:
    """At one point after the other, each on the server that has settled the crash before."""
    server = harness.serve(program=CRASHING)
    for point in RECORDED:
        run = server.submit(RUNAWAY)
        server.computing_worker(run["id"])
        crash_at(harness, point)
        cancel_into_the_crash(harness, server, run["id"])
        server = assert_canceled_after_restart(harness, run["id"])


def test_a_run_whose_file_was_committed(harness: ServerHarness) -> None:
    """The server dies before it discards what the cancelled run has written."""
    server = harness.serve(program=CRASHING)
    run = server.submit("SELECT i, 'row ' || i AS t FROM range(2000000000) t(i)")
    server.wait_for_bytes(run["id"])
    crash_at(harness, "results.discard:before")
    cancel_into_the_crash(harness, server, run["id"])
    assert_canceled_after_restart(harness, run["id"])


def test_a_run_whose_engine_has_no_handle_yet(harness: ServerHarness) -> None:
    server = harness.serve(program=CRASHING)
    reached = harness.made.home / REACHED
    for point in BEFORE_THE_HANDLE:
        crash_at(harness, point)
        run = server.submit(RUNAWAY)
        # Before the worker was taken, a cancel ends the attempt without a handle or a crash.
        wait_until(reached.exists, "the attempt has a worker")
        cancel_into_the_crash(harness, server, run["id"])
        reached.unlink()
        server = assert_canceled_after_restart(harness, run["id"])


def test_a_waiting_run(harness: ServerHarness) -> None:
    """`accepted` -> `canceled` is one commit: all or nothing."""
    server = harness.serve({"QUERYRUN_WORKERS__SLOTS": "0"}, CRASHING)
    run = server.submit(RUNAWAY)
    crash_at(harness, "runs.cancel:after")
    cancel_into_the_crash(harness, server, run["id"])
    assert_canceled_after_restart(harness, run["id"])


def test_a_cancel_that_was_not_recorded_can_be_requested_again(harness: ServerHarness) -> None:
    """The only point at which a cancel may get lost: the caller got no response."""
    server = harness.serve(program=CRASHING)
    run = server.submit(RUNAWAY)
    server.computing_worker(run["id"])
    crash_at(harness, "runs.cancel:before")
    cancel_into_the_crash(harness, server, run["id"])
    again = harness.serve()
    again.computing_worker(run["id"])
    assert again.cancel(run["id"]).json()["state"] == "canceled"
    assert again.workers_of(run["id"]) == []


def test_a_second_crash_while_the_first_is_settled(harness: ServerHarness) -> None:
    """The restarted server dies as well, just before it writes `canceled`."""
    server = harness.serve(program=CRASHING)
    run = server.submit(RUNAWAY)
    server.computing_worker(run["id"])
    crash_at(harness, "workers.stop:before")
    cancel_into_the_crash(harness, server, run["id"])
    crash_at(harness, "runs.freed:before")
    assert harness.exit_status_at_start(CRASHING) == -9
    (harness.made.home / CRASH_AT).unlink()
    assert_canceled_after_restart(harness, run["id"])
