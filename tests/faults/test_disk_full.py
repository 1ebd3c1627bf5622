"""Disks and quotas run out: a clear failure, nothing left behind, and the next run works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, ServerHarness

LARGE = "SELECT i, hash(i) AS h FROM range(4000000) t(i)"
"""Some 110 MB of CSV."""
SORT = "SELECT i, hash(i) AS h FROM range(60000000) t(i) ORDER BY h"
"""Far more than the memory that these tests allow."""
ONCE = {
    "QUERYRUN_SOURCES__LIVE__MAX_RETRIES": "0",
    "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
}
"""A full disk is retried, because others may free it; these tests need one attempt."""
LITTLE_MEMORY = {"QUERYRUN_SOURCES__LIVE__MEMORY": "200MB"}


@contextmanager
def small_disk(directory: Path, size_mb: int) -> Iterator[None]:
    """A separate disk at `directory`. Skips the test without permission to mount one."""
    directory.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture
def results(harness: ServerHarness) -> Iterator[Path]:
    """The directory of results, on a disk of 20 MB."""
    directory = harness.made.home / "results"
    with small_disk(directory, 20):
        yield directory
        harness.close()


@pytest.fixture
def spill(harness: ServerHarness) -> Iterator[Path]:
    """The spill directory, on a disk of 40 MB."""
    directory = harness.made.home / "spill"
    with small_disk(directory, 40):
        yield directory
        harness.close()


def assert_next_works(server: Server) -> None:
    """The node works as before."""
    done = server.finished(server.submit("SELECT 42 AS a")["id"])
    assert server.file_text(done) == "a\n42\n"


def spilled_bytes(directory: Path) -> int:
    """What spilling statements have left."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


@pytest.mark.parametrize("encoding", ["none", "gzip"])
def test_a_full_result_disk_fails_the_run_and_leaves_nothing(
    harness: ServerHarness, results: Path, encoding: str
) -> None:
    server = harness.serve(ONCE)
    done = server.finished(server.submit(LARGE, content_encoding=encoding)["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "storage_full")
    assert done["error"]["retryable"] is True
    assert [path for path in results.rglob("*") if path.is_file()] == []
    assert_next_works(server)


def test_a_full_spill_disk_fails_the_run_and_leaves_nothing(
    harness: ServerHarness, spill: Path
) -> None:
    server = harness.serve(LITTLE_MEMORY | ONCE)
    done = server.finished(server.submit(SORT)["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "storage_full")
    assert str(harness.made.home) not in done["error"]["message"]
    assert spilled_bytes(spill) == 0
    assert_next_works(server)


def test_a_used_up_spill_quota_fails_the_run_and_leaves_nothing(harness: ServerHarness) -> None:
    quota = {
        "QUERYRUN_SOURCES__LIVE__SPILL": "40MB",
        "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
    }
    server = harness.serve(LITTLE_MEMORY | quota)
    done = server.finished(server.submit(SORT)["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "memory_limit_exceeded")
    assert str(harness.made.home) not in done["error"]["message"]
    assert spilled_bytes(harness.made.home / "spill") == 0
    assert_next_works(server)


def test_a_used_up_size_quota_fails_the_run_and_leaves_nothing(harness: ServerHarness) -> None:
    quota = {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_SIZE": "5MB"}
    server = harness.serve(quota | {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"})
    done = server.finished(server.submit(LARGE)["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "size_limit_exceeded")
    assert "5000000 bytes" in done["error"]["message"]
    assert server.result_files() == []
    assert_next_works(server)


def test_a_size_quota_counts_the_file_as_it_is_stored(harness: ServerHarness) -> None:
    quota = {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_SIZE": "5MB"}
    server = harness.serve(quota)
    sql = "SELECT 'the same words again and again' AS a FROM range(400000)"
    plain = server.finished(server.submit(sql)["id"])
    packed = server.finished(server.submit(sql, content_encoding="gzip")["id"])
    assert (plain["state"], packed["state"]) == ("failed", "complete")
    assert server.result_files() == [packed["file"]["id"]]


def test_a_home_on_a_full_disk_is_refused_with_the_cause(tmp_path: Path) -> None:
    """SQLite has one code for whatever a write fails for; the sentence has the disk's own words."""
    with small_disk(tmp_path / "disk", 4):
        (tmp_path / "disk" / "others").write_bytes(bytes(4 * 2**20 - 16384))
        home = tmp_path / "disk" / "home"
        command = [sys.executable, "-m", "queryrun.cli", "init", "--home", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, home.exists()) == (1, False)
        assert "No space left on device" in done.stderr or "the disk is full" in done.stderr
