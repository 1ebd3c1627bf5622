"""Handles name one process permanently, and kill exactly that one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from queryrun.processes import handles
from queryrun.processes.errors import NotReaped
from queryrun.processes.kill import kill_process
from tests.integration.worker.pool_harness import is_running

pytestmark = pytest.mark.anyio

_SLEEPER = "import signal; print(flush=True); signal.pause()"
_KILLER = """
import asyncio, sys
from queryrun.processes.kill import kill_process
from tests.integration.worker.pool_harness import is_running
asyncio.run(kill_process(sys.argv[1]))
print(is_running(sys.argv[1]))
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    """A process that leads its own group and exits only by a signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SLEEPER], stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        yield process
    process.kill()
    process.wait()


def test_a_running_process_is_alive(sleeper: subprocess.Popen[str]) -> None:
    assert is_running(handles.handle_of(sleeper.pid))


def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[str]) -> None:
    """It holds nothing any more; only its entry in the process table is left."""
    handle = handles.handle_of(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(handle)


def test_a_process_that_has_exited_has_no_handle(sleeper: subprocess.Popen[str]) -> None:
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(ProcessLookupError):
        handles.handle_of(sleeper.pid)


async def test_kill_returns_when_the_process_has_exited(sleeper: subprocess.Popen[str]) -> None:
    handle = handles.handle_of(sleeper.pid)
    await kill_process(handle)
    assert not is_running(handle)
    assert sleeper.wait() == -signal.SIGKILL


def test_kill_works_from_a_process_that_is_no_parent(sleeper: subprocess.Popen[str]) -> None:
    handle = handles.handle_of(sleeper.pid)
    killer = [sys.executable, "-c", _KILLER, handle]
    assert subprocess.run(killer, check=True, capture_output=True, text=True).stdout == "False\n"


async def test_kill_takes_the_whole_group(sleeper: subprocess.Popen[str]) -> None:
    member = _join(sleeper.pid)
    await kill_process(handles.handle_of(sleeper.pid))
    assert member.wait(20) == -signal.SIGKILL


async def test_kill_of_a_process_that_has_exited_does_nothing(
    sleeper: subprocess.Popen[str],
) -> None:
    handle = handles.handle_of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    await kill_process(handle)


@pytest.mark.parametrize("field", [2, 3], ids=["another start", "another boot"])
async def test_a_process_that_reuses_the_pid_is_left_alone(
    sleeper: subprocess.Popen[str], field: int
) -> None:
    parts = handles.handle_of(sleeper.pid).split(":")
    parts[field] = "1"
    earlier = ":".join(parts)
    assert not is_running(earlier)
    await kill_process(earlier)
    assert sleeper.poll() is None


async def test_a_process_that_does_not_exit_is_not_reported_as_killed(
    sleeper: subprocess.Popen[str],
) -> None:
    with pytest.raises(NotReaped):
        await kill_process(handles.handle_of(sleeper.pid), timeout_s=0.0)


def _join(group: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], process_group=group
    )


@pytest.mark.parametrize("text", ["", "pid:1", "other:1:2:3", "process:x:2:3"])
async def test_an_invalid_handle_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        await kill_process(text)


def test_before_linux_6_9_the_group_is_found_by_pid(
    sleeper: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handles, "_SIGNAL_PROCESS_GROUP", 1 << 30)  # a flag no kernel knows
    pidfd = os.pidfd_open(sleeper.pid)
    handles.kill_group(pidfd, sleeper.pid)
    os.close(pidfd)
    assert sleeper.wait(20) == -signal.SIGKILL
