"""Runs the attacks of `taken_over.py` in real workers, with all layers or without some."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from queryrun.processes.fork_client import Roles
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import Done
from queryrun.worker.pool import PoolOptions, WorkerPool
from tests.integration.worker.pool_harness import bind_to, run
from tests.integration.worker.taken_over import ENTRY_POINTS, Victim


def roles_without(layers: Iterable[str]) -> Roles:
    """The child processes of a node whose workers are taken over and lack these layers."""
    return {**CHILD_ROLES, "worker": ENTRY_POINTS[frozenset(layers)]}


@asynccontextmanager
async def taken_over_pool(root: Path, without: Iterable[str] = ()) -> AsyncIterator[WorkerPool]:
    """A pool of taken-over workers; closed afterwards."""
    options = PoolOptions(root / "spill", results=root / "results", max_workers=4, warm=2)
    pool = WorkerPool(options, roles_without(without))
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


@contextmanager
def victim(root: Path) -> Iterator[Victim]:
    """Data, results, a process and listeners of others, made anew."""
    bind_to(root, "e1")
    bind_to(root, "e2")
    (root / "copies").mkdir(exist_ok=True)
    for name in ("copies/known.parquet", "data-e1/file", "data-e2/file", "results/others"):
        (root / name).write_text("of others")
    unix_path = str(root / "listener")
    with (
        subprocess.Popen(["sleep", "1000"]) as process,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(unix_path)
        unix.listen()
        try:
            yield Victim(
                result=str(root / "results/others"),
                data=str(root / "data-e2/file"),
                own_data=str(root / "data-e1/file"),
                copies=str(root / "copies"),
                pid=process.pid,
                port=tcp.getsockname()[1],
                udp_port=udp.getsockname()[1],
                unix_socket=unix_path,
            )
        finally:
            process.kill()


async def works(pool: WorkerPool, root: Path, attack: str, aim: Victim) -> bool:
    """Whether the attack did what it is for. A worker that it kills has not done it."""
    worker = await pool.take(bind_to(root, "e1", copies_dir=str(root / "copies")))
    try:
        outcome = await run(worker, f"{attack} {msgspec.json.encode(aim).decode()}")
    except WorkerDied:
        return False
    finally:
        await pool.stop(worker)
    return isinstance(outcome, Done)
