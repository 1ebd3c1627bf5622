"""Processes that write copies of text files: what they may do, and what ends them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.source_spec import ORGS, SourceSpec
from queryrun.errors import FailureCode
from queryrun.processes.fork_client import ForkClient, Roles
from queryrun.processes.handles import handle_of
from queryrun.services.copies import process as copies_process
from queryrun.services.copies.client import ROLE, CopiesClient
from queryrun.services.copies.frames import CopiesConfig
from queryrun.services.estimate.client import EstimateClient, EstimateOptions
from queryrun.services.estimate.frames import EstimateRequest
from queryrun.services.estimate.process import sandbox_policy as policy_of_estimates
from queryrun.tables.text.requests import DIGEST_BYTES, CopiesMade, CopiesRequest
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.main import sandbox_policy as policy_of_workers
from queryrun.worker.pool import ROLE as WORKER_ROLE
from queryrun.worker.pool import PoolOptions, WorkerPool
from queryrun.worker.runtime import NodeServices, Report
from tests.integration.worker.inert import InertSession
from tests.integration.worker.pool_harness import TIMEOUT_S, bind_to, children, statement

pytestmark = pytest.mark.anyio
LIMITS = EngineLimits(256 * 1024**2, 1, "", 64 * 1024**2)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def hanging_main(control: socket.socket) -> NoReturn:
    """A process that converts for ever."""

    def made(config: CopiesConfig, request: CopiesRequest) -> CopiesMade:
        threading.Event().wait()
        raise AssertionError(config, request)

    copies_process.made = made
    copies_process.main(control)


def crashing_main(control: socket.socket) -> NoReturn:
    """A process that a file makes crash."""
    control.recv(1)
    raise SystemExit(1)


class TakenOver(InertSession):
    """A session that asks for what no worker of ours asks for."""

    def __init__(self, _config: WorkerConfig, node: NodeServices) -> None:
        self._node = node

    def run(self, execute: Execute, report: Report) -> Done:
        """The statement is what it asks for."""
        self._node.copies(CopiesRequest(execute.sql.encode()))
        return Done(rows=1, size_bytes=0, sha256="")


def taken_over_main(control: socket.socket) -> NoReturn:
    """A worker that was taken over."""
    run_worker(control, TakenOver)


HANGING: Roles = {**CHILD_ROLES, ROLE: f"{__name__}:hanging_main"}
TAKEN_OVER: Roles = {**CHILD_ROLES, WORKER_ROLE: f"{__name__}:taken_over_main"}
CRASHING: Roles = {**CHILD_ROLES, ROLE: f"{__name__}:crashing_main"}


def config_of(root: Path, **options: str) -> WorkerConfig:
    """An entity with a table `t` of text."""
    (root / "copies").mkdir(parents=True, exist_ok=True)
    config = bind_to(root, copies_dir=str(root / "copies"), dialect="trino", **options)
    (root / "data-e1" / "t.csv").write_text("id,name\n1,a\n2,b\n")
    return config


@pytest.fixture
async def fork_client() -> AsyncIterator[ForkClient]:
    client = ForkClient(CHILD_ROLES)
    yield client
    await client.close()
    assert children() == set()


def sleeping() -> subprocess.Popen[bytes]:
    """A process that asks for copies."""
    return subprocess.Popen(["sleep", "1000"])


async def until_a_process_is_named(name: str) -> int:
    """Wait for a child of this name."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            for pid in children():
                if _name_of(pid) == name:
                    return pid
            await asyncio.sleep(0.01)


def _name_of(pid: int) -> str:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "" if state == "Z" else Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def test_copies_are_written_and_nothing_else_is_left(
    tmp_path: Path, fork_client: ForkClient
) -> None:
    source = config_of(tmp_path).source
    client = CopiesClient(fork_client, tmp_path / "work")
    us = handle_of(os.getpid())
    made = await client.write(source, CopiesRequest.of("t", None), LIMITS, us)
    assert made.code is None
    assert made.cpu_ms > 0
    assert len(list((tmp_path / "copies").iterdir())) == 2
    first = children()
    (tmp_path / "data-e1" / "bad.csv").write_text("id,name\n1,a\n2,b,c\n")
    made = await client.write(source, CopiesRequest.of("bad", None), LIMITS, us)
    assert made.code in {FailureCode.DATA_INVALID, FailureCode.DATA_UNREADABLE}
    assert "line 3" in made.message
    assert children() == first, "who asks again is served by the same process"
    await client.close()
    assert list((tmp_path / "work").iterdir()) == []
    closed = await client.write(source, CopiesRequest.of("t", None), LIMITS, us)
    assert closed == CopiesMade(), "nobody converts, and nobody says why"


def test_no_process_that_sees_statements_may_write_copies(tmp_path: Path) -> None:
    for options in ({}, {ORGS: '["north"]'}):
        config = config_of(tmp_path, **options)
        copies = config.source.options["copies_dir"]
        planned = EstimateRequest(config.source, str(tmp_path), "UTC", "SELECT 1", RowFilter())
        for policy in (policy_of_workers(config), policy_of_estimates(planned)):
            assert copies in policy.read
            assert copies not in policy.read_write


async def test_a_process_ends_with_the_one_that_asked_whoever_ended_that(tmp_path: Path) -> None:
    """A lease that ran out, or another node, ends a worker while its own node is cut off."""
    source = config_of(tmp_path).source
    fork_client = ForkClient(HANGING)
    client = CopiesClient(fork_client, tmp_path / "work")
    with sleeping() as waiting:
        handle = handle_of(waiting.pid)
        request = CopiesRequest.of("t", None)
        writing = asyncio.ensure_future(client.write(source, request, LIMITS, handle))
        pid = await until_a_process_is_named("qr:copies")
        assert not writing.done()
        waiting.kill()
    assert await asyncio.wait_for(writing, TIMEOUT_S) == CopiesMade()
    assert not _name_of(pid)
    late = await client.write(source, request, LIMITS, handle)
    assert late == CopiesMade(), "who asked has exited before"
    await client.close()
    await fork_client.close()
    assert children() == set()


@asynccontextmanager
async def _pool_of(tmp_path: Path, roles: Roles) -> AsyncIterator[WorkerPool]:
    """Workers in these roles, and a client that has their copies made; both are closed."""
    pool = WorkerPool(PoolOptions(tmp_path / "spill", results=tmp_path / "results"), roles)
    await pool.start()
    copies = CopiesClient(pool.fork_client, tmp_path / "spill")
    pool.write_copies = copies.write
    try:
        yield pool
    finally:
        await copies.close()
        await pool.close()


@pytest.mark.parametrize("options", [{}, {ORGS: '["north"]'}], ids=["of all rows", "of orgs"])
async def test_a_run_has_copies_made_that_a_later_one_reads(
    tmp_path: Path, options: dict[str, str]
) -> None:
    config = config_of(tmp_path, **options)
    async with _pool_of(tmp_path, CHILD_ROLES) as pool:
        for _ in range(2):
            worker = await pool.take(config)
            outcome = await worker.execute(statement("SELECT count(*) FROM t"), lambda _: None)
            assert isinstance(outcome, Done), outcome
            pool.give_back(worker)
            known = {path: path.stat().st_ino for path in (tmp_path / "copies").iterdir()}
            assert len(known) == 2
        assert known == {path: path.stat().st_ino for path in known}


async def test_a_stop_leaves_no_process_that_converts(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    async with _pool_of(tmp_path, HANGING) as pool:
        worker = await pool.take(config)
        running = asyncio.ensure_future(
            worker.execute(statement("SELECT count(*) FROM t"), lambda _: None)
        )
        pid = await until_a_process_is_named("qr:copies")
        await pool.stop(worker)
        assert not _name_of(pid), "it is gone before the stop is confirmed"
        await asyncio.wait([running])
        assert isinstance(running.exception(), WorkerDied) or not isinstance(running.result(), Done)
        assert not list((tmp_path / "spill").glob("worker-copies-*"))


async def test_a_worker_that_sends_text_for_a_digest_is_killed(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    async with _pool_of(tmp_path, TAKEN_OVER) as pool:
        worker = await pool.take(config)
        with pytest.raises(WorkerDied):
            await worker.execute(statement("../../other/t.csv"), lambda _: None)
        await pool.stop(worker)
        worker = await pool.take(config)
        outcome = await worker.execute(statement("x" * DIGEST_BYTES), lambda _: None)
        assert isinstance(outcome, Done), "a digest of nothing is answered, and nothing is made"
        assert list((tmp_path / "copies").iterdir()) == []
        pool.give_back(worker)


async def test_a_run_whose_process_crashes_converts_for_itself(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    async with _pool_of(tmp_path, CRASHING) as pool:
        worker = await pool.take(config)
        outcome = await worker.execute(statement("SELECT count(*) FROM t"), lambda _: None)
        assert isinstance(outcome, Done), outcome
        assert list((tmp_path / "copies").iterdir()) == []
        pool.give_back(worker)


async def test_a_dry_run_has_copies_made_as_a_run_has(
    tmp_path: Path, fork_client: ForkClient
) -> None:
    config = config_of(tmp_path)

    async def spec(*_: object) -> SourceSpec:
        return config.source

    copies = CopiesClient(fork_client, tmp_path / "work")
    options = EstimateOptions(tmp_path / "work", timeout_s=30.0)
    client = EstimateClient(fork_client, spec, options, write_copies=copies.write)
    found = await client.estimate("live", "e1", "SELECT id FROM t", RowFilter())
    assert found is not None
    assert found.columns == (("id", "bigint"),)
    assert len(list((tmp_path / "copies").iterdir())) == 2
    await client.close()
    await copies.close()
