"""Class D: the remote engine was not stopped. The check queries what it still runs.

The embedded engine is the worker itself. What a worker could leave behind instead is a child
process, a pipe with a reader, an open file or a spill directory: none may remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.processes import ServerProcesses, in_table, open_paths
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Local, Target
from queryrun.cancel_suite.verify import cancel_and_verify, wait_computing

COUNT = 20
ENCODINGS = ("none", "gzip", "zip")


@dataclass(frozen=True, slots=True)
class _Resources:
    """The children and open files of a worker while it wrote."""

    children: tuple[int, ...]
    paths: tuple[str, ...]

    @property
    def spill(self) -> set[Path]:
        """The directories of this worker, found by the pipe that results go through."""
        found = (Path(path) for path in self.paths)
        own = (p for path in found for p in path.parents if p.name.startswith("worker-"))
        return set(own)

    @property
    def own_files(self) -> set[str]:
        """Files and pipes that only this worker uses."""
        return {path for path in self.paths if "worker-" in path or path.endswith(".part")}


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Cancel runs that write, and check that what their workers held is released."""
    finding = Finding("D", "no work, process or file is left")
    if target.engine.is_remote:
        return await _run_remote(target, plan, progress, finding)
    finding.notes.append(
        "the embedded engine is the worker. Checked instead of remote work: child processes, "
        "pipes, open files, spill directory, unfinished result file"
    )
    if target.local is None:
        finding.notes.append("the server is on another machine: only its responses were checked")
    count = plan.count(COUNT, least=3)
    progress.begin(finding.title, count)
    for number in range(count):
        await _one(target, finding, ENCODINGS[number % len(ENCODINGS)])
        progress.step()
    return finding


async def _run_remote(target: Target, plan: Plan, progress: Progress, finding: Finding) -> Finding:
    """Cancel several runs at a time; then the remote engine must list none of them."""
    count = plan.count(COUNT, least=3)
    progress.begin(finding.title, count)
    statements = target.statements
    for number in range(count):
        encoding = ENCODINGS[number % len(ENCODINGS)]
        run_ids = [
            await target.submit(sql, content_encoding=encoding)
            for sql in (statements.long_file, statements.runaway, statements.heavy)
        ]
        busy = [await wait_computing(target, run_id, used_s=0.1) for run_id in run_ids]
        for run_id, one in zip(run_ids, busy, strict=True):
            duration_ms = await cancel_and_verify(target, finding, run_id, one)
            finding.latencies_ms += [duration_ms] if duration_ms is not None else []
            if one is not None:
                one.close()
        left = await target.engine.probe.active()
        finding.expect(not left & set(run_ids), f"the engine still runs {sorted(left)}")
        progress.step()
    return finding


async def _one(target: Target, finding: Finding, encoding: str) -> None:
    """What the worker holds is read before the cancel: afterwards it cannot be listed."""
    run_id = await target.submit(target.statements.long_file, content_encoding=encoding)
    busy = await wait_computing(target, run_id, used_s=0.2)
    held = _resources_of(busy.pid) if busy is not None else None
    duration_ms = await cancel_and_verify(target, finding, run_id, busy)
    if duration_ms is not None:
        finding.latencies_ms.append(duration_ms)
    if busy is None or held is None or target.local is None:
        return
    busy.close()
    finding.expect(bool(held.own_files), f"{run_id}: its worker held no file of its own")
    _expect_released(finding, target.local, run_id, held)


def _resources_of(pid: int) -> _Resources:
    children = ServerProcesses(pid).below()
    return _Resources(tuple(children), tuple(open_paths(pid)))


def _expect_released(finding: Finding, local: Local, run_id: str, held: _Resources) -> None:
    """Everything that the worker held is released, and no other process holds its files open."""
    for child in held.children:
        finding.expect(not in_table(child), f"{run_id}: its child {child} still runs")
    for directory in held.spill:
        finding.expect(not directory.exists(), f"{run_id}: {directory.name} still exists")
    for path in held.own_files:
        finding.expect(not Path(path).exists(), f"{run_id}: {Path(path).name} still exists")
    for pid in [local.processes.pid, *local.processes.below()]:
        shared = held.own_files & set(open_paths(pid))
        finding.expect(not shared, f"{run_id}: process {pid} holds {len(shared)} of its files open")
    if local.results is not None:
        left = list(local.results.glob(f"*{run_id}*"))
        finding.expect(not left, f"{run_id}: {len(left)} result files")
