"""Processes die without a stop: a worker, the fork server, the node itself."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from queryrun.errors import ConfigurationError
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.frames import encode
from queryrun.processes.given_sockets import send_descriptor
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import Done, WorkerConfig
from queryrun.worker.pool import PoolOptions, StopHow, WorkerPool
from tests.integration.worker.pool_harness import (
    TIMEOUT_S,
    begin,
    bind_to,
    children,
    is_in_process_table,
    is_running,
    open_descriptors,
    open_pool,
    run,
)

pytestmark = pytest.mark.anyio

_NODE = """
import asyncio, json, os, sys
from pathlib import Path
from tests.integration.worker.pool_harness import begin, bind_to, children, open_pool

async def main(root):
    async with open_pool(root / "spill", warm=2) as pool:
        await begin(await pool.take(bind_to(root)), "ignore")
        await begin(await pool.take(bind_to(root)), "wait_for_interrupt")
        print(json.dumps(sorted(children())), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""

_LONE_WORKER = """
import os, socket, sys
from queryrun.worker.main import run_worker
from tests.integration.worker.scripted import open_session
os.setpgid(0, 0)
run_worker(socket.socket(fileno=int(sys.argv[1])), open_session)
"""


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Production runs on uvloop, which watches descriptors in its own way."""
    return "asyncio", {"use_uvloop": request.param}


async def test_a_killed_worker_is_reported_to_its_caller(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        os.kill(running.worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied) as died:
            await asyncio.wait_for(running.outcome, TIMEOUT_S)
        assert died.value.exit_code == -signal.SIGKILL
        assert not died.value.at_lease_end
        assert not is_in_process_table(running.worker.pid)


async def test_a_worker_whose_lease_is_not_extended_says_so_with_its_end(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        running.worker.extend_lease(time.monotonic())
        with pytest.raises(WorkerDied) as died:
            await asyncio.wait_for(running.outcome, TIMEOUT_S)
        assert died.value.at_lease_end


async def test_a_worker_that_exits_during_a_statement_is_reported(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        with pytest.raises(WorkerDied) as died:
            await run(await pool.take(bind_to(tmp_path)), "leave 7")
        assert died.value.exit_code == 7


async def test_the_pool_replaces_a_killed_worker(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=1) as pool:
        worker = await pool.take(bind_to(tmp_path))
        os.kill(worker.pid, signal.SIGKILL)
        other = await asyncio.wait_for(pool.take(bind_to(tmp_path)), TIMEOUT_S)
        assert isinstance(await run(other, "rows 1"), Done)


async def test_a_warm_worker_that_died_is_not_handed_out(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=1) as pool:
        first = await pool.take(bind_to(tmp_path))
        pool.give_back(first)
        os.kill(first.pid, signal.SIGKILL)
        await asyncio.wait_for(first.wait_reaped(), TIMEOUT_S)
        assert isinstance(await run(await pool.take(bind_to(tmp_path)), "rows 1"), Done)


async def test_stopping_a_dead_worker_confirms_that_it_is_gone(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        os.kill(running.worker.pid, signal.SIGKILL)
        assert (await pool.stop(running.worker)).how is StopHow.KILLED
        with pytest.raises(WorkerDied):
            await running.outcome


async def test_a_broken_worker_fails_its_statement_and_is_not_used_again(tmp_path: Path) -> None:
    """The engine's message stays out of the response and of the log: it may quote SQL."""
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        outcome = await run(worker, "break")
        assert "secret" not in str(outcome)
        pool.give_back(worker)
        await asyncio.wait_for(worker.wait_reaped(), TIMEOUT_S)


async def test_all_workers_die_with_the_fork_server_and_a_new_one_starts(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        fork_server = pool.fork_client.pid
        assert fork_server is not None
        os.kill(fork_server, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            await asyncio.wait_for(running.outcome, TIMEOUT_S)
        assert not is_running(running.worker.handle)
        assert isinstance(await run(await pool.take(bind_to(tmp_path)), "rows 1"), Done)


async def test_stop_returns_when_the_fork_server_died_too(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        fork_server = pool.fork_client.pid
        assert fork_server is not None
        os.kill(fork_server, signal.SIGKILL)
        assert (await pool.stop(running.worker)).how is StopHow.KILLED
        with pytest.raises(WorkerDied):
            await running.outcome


async def test_take_raises_when_the_fork_server_cannot_start(tmp_path: Path) -> None:
    pool = WorkerPool(
        PoolOptions(tmp_path / "spill"), {**CHILD_ROLES, "worker": "queryrun.nowhere:nothing"}
    )
    await pool.start()
    with pytest.raises(ForkServerLost):
        await asyncio.wait_for(pool.take(bind_to(tmp_path)), TIMEOUT_S)
    await pool.close()


async def test_the_fork_server_survives_garbage(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        first = await pool.take(bind_to(tmp_path))
        server = pool.fork_client._server
        assert server is not None
        for garbage in (b"\xc1", b"\x00" * 4000, os.urandom(64)):
            server._socket.send(garbage)
        assert isinstance(await run(await pool.take(bind_to(tmp_path)), "rows 1"), Done)
        assert isinstance(await run(first, "rows 1"), Done)


async def test_a_worker_ignores_the_signals_that_are_meant_for_the_node(tmp_path: Path) -> None:
    """A service manager sends SIGTERM to every process of the service; the node drains."""
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        await worker.ready()
        fork_server = pool.fork_client.pid
        assert fork_server is not None
        for pid in (worker.pid, fork_server):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        assert isinstance(await run(worker, "rows 1"), Done)


async def test_what_a_killed_node_left_in_the_spill_root_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "spill" / "worker-0123456789abcdef" / "1"
    left.mkdir(parents=True)
    async with open_pool(tmp_path / "spill"):
        assert not left.exists()


async def test_a_second_node_may_not_use_the_same_spill_root(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill"):
        with pytest.raises(ConfigurationError):
            await WorkerPool(PoolOptions(tmp_path / "spill"), CHILD_ROLES).start()


async def test_takes_and_stops_leave_no_process_and_no_descriptor(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=3) as pool:
        await pool.stop(await pool.take(bind_to(tmp_path)))
        before = open_descriptors() - 2 * pool.size  # a socket and a pidfd each
        for text in ("ignore", "wait_for_interrupt", "halfway") * 4:
            running = await begin(await pool.take(bind_to(tmp_path)), text)
            await pool.stop(running.worker)
            await asyncio.wait([running.outcome])
            running.outcome.exception()
        assert open_descriptors() - 2 * pool.size <= before
        assert len(children()) == pool.size + 1
    assert children() == set()


async def test_a_worker_holds_no_sockets_but_its_own(tmp_path: Path) -> None:
    """Its control, and the one by which it asks its relay for connections.

    An inherited socket of a sibling or the fork server would hide that the other has exited.
    """
    async with open_pool(tmp_path / "spill", max_workers=3) as pool:
        workers = [await pool.take(bind_to(tmp_path)) for _ in range(3)]
        counts = [await run(worker, "sockets") for worker in workers]
        assert [done.rows for done in counts if isinstance(done, Done)] == [2, 2, 2]


def test_no_process_outlives_a_killed_node(tmp_path: Path) -> None:
    node = subprocess.Popen(
        [sys.executable, "-c", _NODE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert node.stdout is not None
    with node.stdout, _watched(json.loads(node.stdout.readline())) as watched:
        assert len(watched) >= 3
        node.kill()
        node.wait()
        _assert_all_end(watched)


def test_a_worker_exits_when_its_socket_closes_although_its_parent_lives(tmp_path: Path) -> None:
    """The second safety net alone: this worker did not set PDEATHSIG, and its parent lives on."""
    ours, theirs = socket.socketpair()
    with theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", _LONE_WORKER, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    spill = tmp_path / "spill"
    spill.mkdir()
    requests, workers_requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, requests:
        with workers_requests:
            send_descriptor(ours, workers_requests.fileno())
        ours.sendall(encode(_with_spill(tmp_path, spill)))
        assert ours.recv(1)  # it is ready
    assert worker.wait(TIMEOUT_S) == -signal.SIGKILL


def _with_spill(root: Path, spill: Path) -> WorkerConfig:
    return msgspec.structs.replace(bind_to(root), spill_dir=str(spill))


@contextmanager
def _watched(pids: list[int]) -> Iterator[list[int]]:
    pidfds = [os.pidfd_open(pid) for pid in pids]
    try:
        yield pidfds
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _assert_all_end(pidfds: list[int]) -> None:
    for pidfd in pidfds:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(TIMEOUT_S * 1000), "a process outlived its node"
