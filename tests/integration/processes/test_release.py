"""Releasing a killed process's memory changes only how long that takes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from queryrun.processes.release import release_memory
from tests.integration.worker.pool_harness import open_descriptors

HOLDS_MEMORY = (
    "import sys; held = bytearray(200_000_000); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds 200 MB."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDS_MEMORY], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def wait_for_helpers() -> None:
    """Until the releasing threads have finished."""
    for thread in threading.enumerate():
        if thread.name == "mrelease":
            thread.join()


def exits(pidfd: int, within_s: float) -> bool:
    """Whether the process ends within the time."""
    return bool(select.select([pidfd], [], [], within_s)[0])


def test_a_dying_process_exits_and_leaves_no_descriptor(
    holder: subprocess.Popen[bytes],
) -> None:
    pidfd = os.pidfd_open(holder.pid)
    before = open_descriptors()
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    release_memory(pidfd)
    assert exits(pidfd, 10)
    wait_for_helpers()
    assert open_descriptors() == before
    os.close(pidfd)


def test_a_living_process_keeps_its_memory(holder: subprocess.Popen[bytes]) -> None:
    pidfd = os.pidfd_open(holder.pid)
    release_memory(pidfd)
    wait_for_helpers()
    assert not exits(pidfd, 0)
    with open(f"/proc/{holder.pid}/statm", encoding="ascii") as statm:  # noqa: PTH123 - proc
        resident_bytes = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident_bytes > 200_000_000
    os.close(pidfd)


def test_releasing_an_exited_process_does_nothing(holder: subprocess.Popen[bytes]) -> None:
    pidfd = os.pidfd_open(holder.pid)
    holder.kill()
    holder.wait()
    release_memory(pidfd)
    wait_for_helpers()
    os.close(pidfd)
