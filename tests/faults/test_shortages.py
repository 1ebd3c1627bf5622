"""A passing shortage of the node costs a run time, and neither an attempt nor the run."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, ServerHarness, wait_logged
from tests.faults.test_disk_full import small_disk


def waiting_for(server: Server, run_id: str, words: str) -> str:
    """What the run waits for, once that names these words. Polls: a reason is no event."""
    deadline = time.monotonic() + 60
    while True:
        found = server.get(run_id, "waiting_for").get("waiting_for", "")
        if words in found:
            return str(found)
        assert time.monotonic() < deadline, (found, server.get(run_id, "error"))
        time.sleep(0.1)


def wait_until_named(server: Server, part: str, words: str) -> None:
    """Return when `/readyz` names these words for the part. Polls: parts are probed in turn."""
    deadline = time.monotonic() + 60
    while words not in (found := server.http.get("/readyz").json()["checks"][part]):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def assert_complete(server: Server, run_id: str) -> None:
    """The run is complete, and no retry was charged."""
    done = server.finished(run_id)
    assert (done["state"], done["remaining_attempts"]) == ("complete", 3)
    assert server.file_text(done) == "a\n42\n"


@contextmanager
def limited(pid: int, kind: int, value: int) -> Iterator[None]:
    """A limit of a running process is as low as this."""
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


@pytest.fixture
def pids() -> Iterator[Path]:
    """A cgroup that limits processes. Skips the test where none can be made."""
    for parent in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        group = Path(parent) / f"queryrun-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "pids.max").exists():
            yield group
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("no cgroup can be made that limits processes")


def test_runs_wait_while_no_process_can_be_started(harness: ServerHarness, pids: Path) -> None:
    server = harness.serve({"QUERYRUN_WORKERS__WARM": "0"})
    members = [server.process.pid, *server.workers()]
    for pid in members:
        (pids / "cgroup.procs").write_text(str(pid))
    try:
        (pids / "pids.max").write_text("1")
        run = server.submit("SELECT 42 AS a")
        assert "limit of processes" in waiting_for(server, run["id"], "workers: ")
        wait_until_named(server, "workers", "limit of processes")
        (pids / "pids.max").write_text("max")
        assert_complete(server, run["id"])
    finally:
        server.kill()
        deadline = time.monotonic() + 20
        while (pids / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)


def test_runs_wait_while_the_node_may_open_no_more_files(harness: ServerHarness) -> None:
    server = harness.serve({"QUERYRUN_WORKERS__WARM": "0"})
    used = len(os.listdir(f"/proc/{server.process.pid}/fd"))  # noqa: PTH208
    run = None
    with limited(server.process.pid, resource.RLIMIT_NOFILE, used + 1):
        run = server.submit("SELECT 42 AS a")
        assert "open files" in waiting_for(server, run["id"], "open files")
    assert_complete(server, run["id"])


def test_runs_wait_while_the_disk_of_results_is_full(harness: ServerHarness) -> None:
    results = harness.made.home / "results"
    with small_disk(results, 20):
        server = harness.serve()
        (results / "others").write_bytes(bytes(19 * 2**20))
        with pytest.raises(OSError, match="space"):
            (results / "more").write_bytes(bytes(4 * 2**20))
        run = server.submit("SELECT 42 AS a")
        assert "the disk is full" in waiting_for(server, run["id"], "results: ")
        (results / "others").unlink()
        (results / "more").unlink()
        assert_complete(server, run["id"])
        harness.close()


def test_a_directory_that_is_removed_under_a_statement_costs_no_attempt(
    harness: ServerHarness,
) -> None:
    server = harness.serve({"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"})
    slow = server.submit("SELECT count(*) AS a FROM range(3000000000)")
    server.computing_worker(slow["id"])
    shutil.rmtree(harness.made.home / "results")
    shutil.rmtree(harness.made.home / "spill")
    done = server.finished(slow["id"])
    assert (done["state"], done["remaining_attempts"]) == ("complete", 3)
    assert server.file_text(done) == "a\n3000000000\n"


def test_a_worker_that_dies_without_its_directory_costs_no_attempt(harness: ServerHarness) -> None:
    server = harness.serve()
    slow = server.submit("SELECT count(*) AS a FROM range(3000000000)")
    worker = server.computing_worker(slow["id"])
    shutil.rmtree(harness.made.home / "spill")
    os.kill(worker, signal.SIGKILL)
    done = server.finished(slow["id"])
    assert (done["state"], done["remaining_attempts"]) == ("complete", 3)


def test_a_home_that_was_moved_is_not_begun_anew(harness: ServerHarness) -> None:
    server = harness.serve()
    home, moved = harness.made.home, harness.made.home.with_name("moved")
    home.rename(moved)
    wait_until_named(server, "store", "deleted or moved")
    body = {"sql": "SELECT 42 AS a", "content_type": "csv"}
    assert server.http.post("/v2/query_runs", json=body).status_code == 503
    assert server.http.get("/readyz").json()["checks"]["results"] == "it does not exist"
    assert not home.exists()
    moved.rename(home)
    wait_until_named(server, "store", "ok")
    wait_until_named(server, "results", "ok")
    assert_complete(server, server.submit("SELECT 42 AS a")["id"])


def test_an_error_of_ours_carries_an_id_that_the_log_explains(harness: ServerHarness) -> None:
    harness.log.touch()
    server = harness.serve(program=("tests.faults.broken_server", "serve"))
    done = server.finished(server.submit("SELECT 42 AS a")["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "internal_error")
    found = re.search(r"error (\w{12})", done["error"]["message"])
    assert found is not None
    log = wait_logged(harness.log, found[1], "ZeroDivisionError")
    explained = [line for line in log.splitlines() if found[1] in line]
    assert any("_take_broken" in line and "ZeroDivisionError" in line for line in explained)
