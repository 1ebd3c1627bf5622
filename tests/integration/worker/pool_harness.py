"""A pool on the scripted engine, and helpers that inspect it and the process table."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.fork_client import Roles
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker.frames import (
    Done,
    Execute,
    Failed,
    Progress,
    ResultsSpec,
    StageReached,
    WorkerConfig,
)
from queryrun.worker.pool import PoolOptions, WorkerPool
from queryrun.worker.worker import Worker

SCRIPTED: Roles = {
    **CHILD_ROLES,
    "worker": "tests.integration.worker.scripted:worker_main",
    "guard": "tests.integration.worker.scripted:guard_main",
}
TIMEOUT_S = 20.0
"""How long a test waits for something that must happen; far more than it needs."""


@contextlib.asynccontextmanager
async def open_pool(
    spill_root: Path, max_workers: int = 4, warm: int = 1, **options: float
) -> AsyncIterator[WorkerPool]:
    """A started pool; closed afterwards, whatever happens."""
    settings = PoolOptions(spill_root, max_workers=max_workers, warm=warm, **options)  # type: ignore[arg-type] # numbers of either kind
    pool = WorkerPool(settings, SCRIPTED)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def bind_to(root: Path, entity_id: str = "e1", **options: str) -> WorkerConfig:
    """A config whose data and results are below `root`."""
    data, results = root / f"data-{entity_id}", root / "results"
    data.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    return WorkerConfig(
        entity_id=entity_id,
        source=SourceSpec("duckdb", {"data_dir": str(data), **options}),
        results=ResultsSpec("local", {"directory": str(results)}),
        memory_bytes=256 * 1024**2,
        threads=1,
        spill_dir="",
        spill_bytes=1024**3,
    )


def statement(text: str, size_limit_bytes: int = 0) -> Execute:
    """An execute frame around a scripted statement."""
    return Execute(
        run_id="r1",
        attempt=1,
        sql=text,
        file_key="k1",
        content_type="json",
        content_encoding="none",
        column_separator=None,
        encryption_key=None,
        row_limit=0,
        size_limit_bytes=size_limit_bytes,
    )


async def run(worker: Worker, text: str, size_limit_bytes: int = 0) -> Done | Failed:
    """Execute a scripted statement to its end. What it used is left out: it always differs."""
    outcome = await worker.execute(statement(text, size_limit_bytes), lambda _: None)
    assert outcome.used is not None or isinstance(outcome, Failed), "what never began used nothing"
    assert outcome.used is None or outcome.used.peak_memory_bytes > 0
    return msgspec.structs.replace(outcome, used=None)


class Running:
    """A statement that has started, and the frames that it sent."""

    def __init__(self, worker: Worker, text: str, until_stage: str = "executing") -> None:
        self.frames: list[StageReached | Progress] = []
        self.worker = worker
        self._until = until_stage
        self._begun = asyncio.Event()
        self._progress = asyncio.Event()
        self.outcome = asyncio.ensure_future(worker.execute(statement(text), self._on_progress))

    async def begun(self) -> Running:
        """Wait until it has reached its stage."""
        await asyncio.wait_for(self._begun.wait(), TIMEOUT_S)
        return self

    async def progress(self) -> Progress:
        """Wait for the next progress."""
        self._progress.clear()
        await asyncio.wait_for(self._progress.wait(), TIMEOUT_S)
        return next(f for f in reversed(self.frames) if isinstance(f, Progress))

    def _on_progress(self, frame: StageReached | Progress) -> None:
        self.frames.append(frame)
        if isinstance(frame, StageReached) and frame.stage == self._until:
            self._begun.set()
        if isinstance(frame, Progress):
            self._progress.set()


async def begin(worker: Worker, text: str, until_stage: str = "executing") -> Running:
    """Start a scripted statement and wait until it is running."""
    return await Running(worker, text, until_stage).begun()


def is_running(handle: str) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    _, pid, start, boot = handle.split(":", 3)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = text[text.rindex(")") + 2 :].split()
    is_this_boot = boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return is_this_boot and fields[19] == start and fields[0] not in "ZX"


def is_in_process_table(pid: int) -> bool:
    """Whether the pid exists at all, zombies included."""
    return Path(f"/proc/{pid}").exists()


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number matters


other_processes: set[int] = set()
"""Processes below this one that existed before the test began."""


def children() -> set[int]:
    """The pids of this process's descendants, without those of other tests."""
    return _descendants() - other_processes


def ignore_other_processes() -> None:
    """The processes that exist now are not this test's."""
    other_processes.clear()
    other_processes.update(_descendants())


def _descendants() -> set[int]:
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        for task in _threads_of(todo.pop()):
            pids = _children_of(task)
            found.update(pids)
            todo.extend(pids)
    return found


def _threads_of(pid: int) -> list[Path]:
    """The process may exit at any time; then it has no threads."""
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []


def _children_of(task: Path) -> list[int]:
    """Children of one thread; a thread that exited after it was listed has none."""
    try:
        return [int(pid) for pid in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
