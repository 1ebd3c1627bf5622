"""SIGKILL and restart: no run is lost or completed twice, and no process is left."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.e2e.conftest import RUNAWAY, Server, ServerHarness

Serve = Callable[..., Server]


def gone(pids: Iterable[int], within_s: float = 10.0) -> bool:
    """Whether every process has exited; waits for the kernel, not on a timer."""
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


def test_waiting_runs_survive_a_killed_server_and_run_after_the_restart(
    harness: ServerHarness,
) -> None:
    first = harness.serve({"QUERYRUN_WORKERS__SLOTS": "0"})
    runs = [first.submit(f"SELECT {i} AS i") for i in range(5)]
    first.kill()
    second = harness.serve()
    for i, run in enumerate(runs):
        done = second.finished(run["id"])
        assert done["state"] == "complete"
        assert second.file_text(done) == f"i\n{i}\n"
        assert done["remaining_attempts"] == 3


def test_a_killed_server_leaves_no_process_behind_and_its_run_is_requeued_and_loses_a_retry(
    harness: ServerHarness,
) -> None:
    first = harness.serve()
    run = first.submit(RUNAWAY)
    first.computing_worker(run["id"])
    below = first.workers()
    assert len(below) >= 3, "the fork server, the busy worker and a spare one"
    first.kill()
    assert gone(below)
    second = harness.serve()
    second.computing_worker(run["id"])
    again = second.get(run["id"], "state,remaining_attempts,attempts")
    assert (again["state"], again["remaining_attempts"]) == ("in_progress", 2)
    assert second.cancel(run["id"]).json()["state"] == "canceled"


def test_a_partial_file_of_a_killed_server_is_never_served_and_is_removed(
    harness: ServerHarness,
) -> None:
    first = harness.serve({"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"})
    run = first.submit("SELECT i, 'row ' || i AS t FROM range(2000000000) t(i)")
    first.wait_for_bytes(run["id"])
    first.kill()
    second = harness.serve({"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "1000"})
    done = second.finished(run["id"])
    assert done["error"]["code"] == "row_limit_exceeded"
    assert second.result_files() == []


def test_the_ledger_of_usage_is_the_sum_of_the_runs_after_kills(harness: ServerHarness) -> None:
    """Each attempt is recorded once: by its own node, or by the one that finds it after a kill."""
    server = harness.serve()
    runs = [server.submit(RUNAWAY)]
    for _ in range(2):
        runs += [server.submit(f"SELECT {i} AS i") for i in range(4)]
        server.computing_worker(runs[0]["id"])
        server.kill()
        server = harness.serve()
    server.computing_worker(runs[0]["id"])
    assert server.cancel(runs[0]["id"]).json()["state"] == "canceled"
    finished = [server.finished(run["id"]) for run in runs[1:]]
    assert [run["state"] for run in finished] == ["complete"] * 8
    read = [server.get(run["id"], "usage,attempts") for run in runs]
    [total] = server.http.get("/v2/usage").json()["data"]
    for name in ("attempts", "cpu_ms", "wall_ms", "read_bytes", "written_bytes"):
        assert total[name] == sum(run["usage"][name] for run in read)
    assert [run["usage"]["attempts"] for run in read] == [len(run["attempts"]) for run in read]
    assert total["runs"] == {"complete": 8, "failed": 0, "canceled": 1}
    assert read[0]["usage"]["cpu_ms"] > 0


def test_a_run_whose_worker_is_killed_is_requeued_until_no_retry_is_left(common: Server) -> None:
    run = common.submit(RUNAWAY)
    worker = 0
    for remaining in (3, 2, 1, 0):
        worker = common.computing_worker(run["id"], exclude=worker)
        assert common.get(run["id"])["remaining_attempts"] == remaining
        os.kill(worker, signal.SIGKILL)
    done = common.finished(run["id"])
    assert (done["state"], done["remaining_attempts"]) == ("failed", 0)
    assert done["error"]["code"] == "worker_lost"
    assert "all 4 attempts failed" in done["error"]["message"]


def test_the_service_survives_the_death_of_the_fork_server(serve: Serve) -> None:
    server = serve()
    server.finished(server.submit("SELECT 1")["id"])
    fork_server = int(
        Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        .read_text()
        .split()[0]
    )
    os.kill(fork_server, signal.SIGKILL)
    done = server.finished(server.submit("SELECT 2 AS a")["id"])
    assert server.file_text(done) == "a\n2\n"


def test_sigterm_lets_running_statements_finish_and_exits_with_zero(
    harness: ServerHarness,
) -> None:
    server = harness.serve({"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "100"})
    run = server.submit("SELECT sum(hash(i)::DOUBLE) AS n FROM range(300000000) t(i)")
    server.computing_worker(run["id"])
    assert server.terminate() == 0
    idle = harness.serve({"QUERYRUN_WORKERS__SLOTS": "0"})
    assert idle.get(run["id"])["state"] == "complete"


def test_sigterm_requeues_what_exceeds_the_drain_timeout_without_losing_a_retry(
    harness: ServerHarness,
) -> None:
    first = harness.serve({"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "0.2"})
    run = first.submit(RUNAWAY)
    worker = first.computing_worker(run["id"])
    assert first.terminate() == 0
    assert gone([worker])
    second = harness.serve()
    second.computing_worker(run["id"])
    assert second.get(run["id"])["remaining_attempts"] == 3
    second.cancel(run["id"])


def test_two_servers_cannot_serve_one_home(common_harness: ServerHarness) -> None:
    assert "another node already serves" in common_harness.refused_to_serve()


def test_runs_accepted_before_a_kill_are_all_there_after_it(harness: ServerHarness) -> None:
    """An accepted run is never lost, wherever in the submits the kill falls: each server has runs
    of all that were killed before it."""
    environ = {
        "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
        "QUERYRUN_SOURCES__LIVE__MAX_RETRIES": "20",  # a run may run at each of the kills
    }
    accepted: list[str] = []
    for after_s in (0.0, 0.01, 0.05, 0.2):
        accepted += harness.serve(environ).submit_until_killed(after_s)
    last = harness.serve(environ)
    for run_id in accepted:
        assert last.finished(run_id)["state"] == "complete"
