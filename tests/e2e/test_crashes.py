"""kill -9 at the main points, then a restart: nothing lost, nothing twice, nothing left running."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.e2e.conftest import RUNAWAY, House, Server

Serve = Callable[..., Server]


def gone(pids: Iterable[int], within_s: float = 10.0) -> bool:
    """Whether every process has ended; waits on the kernel, not on the clock."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([descriptor], [], [], within_s)[0]:
                return False
        finally:
            os.close(descriptor)
    return True


def test_killing_the_server_leaves_no_process_behind(serve: Serve) -> None:
    server = serve()
    run = server.submit(RUNAWAY)
    server.computing_worker(run["id"])
    below = server.workers()
    assert len(below) >= 3, "a fork-server, the busy worker, a spare one"
    server.kill()
    assert gone(below)


def test_waiting_runs_survive_a_killed_server_and_are_run_after_the_restart(house: House) -> None:
    first = house.serve({"QUERYRUN_WORKERS__SLOTS": "0"})
    runs = [first.submit(f"SELECT {i} AS i") for i in range(5)]
    first.kill()
    second = house.serve()
    for i, run in enumerate(runs):
        done = second.ended(run["id"])
        assert done["state"] == "complete"
        assert second.file_text(done) == f"i\n{i}\n"
        assert done["remaining_attempts"] == 3


def test_a_running_run_costs_an_attempt_when_its_server_is_killed_and_goes_on(
    house: House,
) -> None:
    first = house.serve()
    run = first.submit(RUNAWAY)
    first.computing_worker(run["id"])
    first.kill()
    second = house.serve()
    second.computing_worker(run["id"])
    again = second.get(run["id"], "state,remaining_attempts,attempts")
    assert (again["state"], again["remaining_attempts"]) == ("in_progress", 2)
    assert second.cancel(run["id"]).json()["state"] == "canceled"


def test_a_half_written_file_of_a_killed_server_is_never_seen_and_is_removed(
    house: House,
) -> None:
    first = house.serve({"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"})
    run = first.submit("SELECT i, 'row ' || i AS t FROM range(2000000000) t(i)")
    first.wait_for_bytes(run["id"])
    first.kill()
    second = house.serve({"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "1000"})
    done = second.ended(run["id"])
    assert done["error"]["code"] == "row_limit_exceeded"
    assert second.result_files() == []


def test_a_cancel_that_was_under_way_ends_canceled_after_the_restart(house: House) -> None:
    """The server is stopped between writing `canceling` and stopping the work."""
    first = house.serve()
    run = first.submit(RUNAWAY)
    worker = first.computing_worker(run["id"])
    os.kill(first.process.pid, signal.SIGSTOP)
    house.write_cancel(run["id"])
    first.kill()
    assert gone([worker])
    second = house.serve()
    done = second.ended(run["id"])
    assert done["state"] == "canceled"
    assert second.workers_of(run["id"]) == []


def test_a_killed_worker_costs_an_attempt_and_the_run_is_tried_again(serve: Serve) -> None:
    server = serve()
    run = server.submit(RUNAWAY)
    killed = server.computing_worker(run["id"])
    os.kill(killed, signal.SIGKILL)
    server.computing_worker(run["id"], besides=killed)
    assert server.get(run["id"])["remaining_attempts"] == 2
    assert server.cancel(run["id"]).json()["state"] == "canceled"


def test_a_run_whose_worker_always_dies_fails_and_says_so(serve: Serve) -> None:
    server = serve()
    run = server.submit(RUNAWAY)
    worker = 0
    for _ in range(4):
        worker = server.computing_worker(run["id"], besides=worker)
        os.kill(worker, signal.SIGKILL)
    done = server.ended(run["id"])
    assert (done["state"], done["remaining_attempts"]) == ("failed", 0)
    assert done["error"]["code"] == "worker_lost"
    assert "all 4 attempts failed" in done["error"]["message"]


def test_the_fork_server_may_die_and_the_service_goes_on(serve: Serve) -> None:
    server = serve()
    server.ended(server.submit("SELECT 1")["id"])
    fork_server = int(
        Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        .read_text()
        .split()[0]
    )
    os.kill(fork_server, signal.SIGKILL)
    done = server.ended(server.submit("SELECT 2 AS a")["id"])
    assert server.file_text(done) == "a\n2\n"


def test_sigterm_lets_running_statements_end_and_the_exit_is_orderly(house: House) -> None:
    server = house.serve({"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "100"})
    run = server.submit("SELECT sum(hash(i)::DOUBLE) AS n FROM range(300000000) t(i)")
    server.computing_worker(run["id"])
    assert server.end() == 0
    idle = house.serve({"QUERYRUN_WORKERS__SLOTS": "0"})
    assert idle.get(run["id"])["state"] == "complete"


def test_sigterm_requeues_what_does_not_end_in_time_and_charges_nothing(house: House) -> None:
    first = house.serve({"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "0.2"})
    run = first.submit(RUNAWAY)
    worker = first.computing_worker(run["id"])
    assert first.end() == 0
    assert gone([worker])
    second = house.serve()
    second.computing_worker(run["id"])
    assert second.get(run["id"])["remaining_attempts"] == 3
    second.cancel(run["id"])


def test_two_servers_cannot_serve_one_home(house: House) -> None:
    house.serve()
    assert "another node already serves" in house.refused_to_serve()


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.05, 0.2])
def test_submits_answered_before_a_kill_are_all_there_after_it(
    house: House, after_s: float
) -> None:
    """An accepted run is never lost, wherever in the batch of submits the kill falls."""
    first = house.serve({"QUERYRUN_SOURCES__LIVE__MAX_QUEUED_PER_TENANT": "0"})
    answered = first.submit_until_killed(after_s)
    second = house.serve({"QUERYRUN_SOURCES__LIVE__MAX_QUEUED_PER_TENANT": "0"})
    for run_id in answered:
        assert second.ended(run_id)["state"] == "complete"
