"""Class D: the remote source is not told. An engine elsewhere is asked what it still runs.

The embedded engine has no remote source. What a worker could leave behind instead is a child
process, a pipe that somebody still reads, an open file, a spill directory: none may remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.processes import ServerProcesses, in_table, open_paths
from queryrun.cancel_suite.proof import begun, cancel_and_prove
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Local, Target

COUNT = 20
ENCODINGS = ("none", "gzip", "zip")


@dataclass(frozen=True, slots=True)
class _Holdings:
    """What a worker held while it wrote."""

    children: tuple[int, ...]
    paths: tuple[str, ...]

    @property
    def spill(self) -> set[Path]:
        """Directories of one worker alone: found by the pipe that results go through."""
        found = (Path(path) for path in self.paths)
        own = (p for path in found for p in path.parents if p.name.startswith("worker-"))
        return set(own)

    @property
    def own_files(self) -> set[str]:
        """Files and pipes that nobody but this worker has any business with."""
        return {path for path in self.paths if "worker-" in path or path.endswith(".part")}


async def run(target: Target, plan: Plan, progress: Progress) -> Finding:
    """Cancel runs that write, and look for what their workers held."""
    finding = Finding("D", "nothing of it is left elsewhere")
    if target.engine.is_elsewhere:
        return await _elsewhere(target, plan, progress, finding)
    finding.notes.append(
        "not applicable on the embedded engine as written: the worker is the engine. Checked "
        "instead: child processes, pipes, open files, spill directory, unfinished result file"
    )
    if target.local is None:
        finding.notes.append("the server is elsewhere: only its answers were looked at")
    count = plan.count(COUNT, least=3)
    progress.begin(finding.title, count)
    for number in range(count):
        await _one(target, finding, ENCODINGS[number % len(ENCODINGS)])
        progress.step()
    return finding


async def _elsewhere(target: Target, plan: Plan, progress: Progress, finding: Finding) -> Finding:
    """As it is meant: the engine's own list is empty afterwards, of a whole handful at once."""
    count = plan.count(COUNT, least=3)
    progress.begin(finding.title, count)
    for number in range(count):
        encoding = ENCODINGS[number % len(ENCODINGS)]
        run_ids = [
            await target.submit(sql, content_encoding=encoding)
            for sql in (target.words.long_file, target.words.runaway, target.words.heavy)
        ]
        busy = [await begun(target, run_id, used_s=0.1) for run_id in run_ids]
        for run_id, one in zip(run_ids, busy, strict=True):
            took_ms = await cancel_and_prove(target, finding, run_id, one)
            finding.latencies_ms += [took_ms] if took_ms is not None else []
            if one is not None:
                one.close()
        left = await target.engine.eyes.active()
        finding.expect(not left & set(run_ids), f"the engine still shows {sorted(left)}")
        progress.step()
    return finding


async def _one(target: Target, finding: Finding, encoding: str) -> None:
    run_id = await target.submit(target.words.long_file, content_encoding=encoding)
    busy = await begun(target, run_id, used_s=0.2)
    held = _holdings(busy.pid) if busy is not None else None
    took_ms = await cancel_and_prove(target, finding, run_id, busy)
    if took_ms is not None:
        finding.latencies_ms.append(took_ms)
    if busy is None or held is None or target.local is None:
        return
    busy.close()
    finding.expect(bool(held.own_files), f"{run_id}: its worker held no file of its own")
    _nothing_is_left(finding, target.local, run_id, held)


def _holdings(pid: int) -> _Holdings:
    children = ServerProcesses(pid).below()
    return _Holdings(tuple(children), tuple(open_paths(pid)))


def _nothing_is_left(finding: Finding, local: Local, run_id: str, held: _Holdings) -> None:
    for child in held.children:
        finding.expect(not in_table(child), f"{run_id}: its child {child} lives on")
    for directory in held.spill:
        finding.expect(not directory.exists(), f"{run_id}: {directory.name} is still there")
    for path in held.own_files:
        finding.expect(not Path(path).exists(), f"{run_id}: {Path(path).name} is still there")
    for pid in [local.processes.pid, *local.processes.below()]:
        shared = held.own_files & set(open_paths(pid))
        finding.expect(not shared, f"{run_id}: process {pid} holds {len(shared)} of its files open")
    if local.results is not None:
        left = list(local.results.glob(f"*{run_id}*"))
        finding.expect(not left, f"{run_id}: {len(left)} result files")
