"""Cancel one run and prove that it is gone: what classes A, C, D and F have in common."""

from __future__ import annotations

import asyncio

from queryrun.cancel_suite.http import Answer
from queryrun.cancel_suite.processes import Busy, state_of
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import ENDED, Target

_BEGIN_S = 30.0


async def begun(target: Target, run_id: str, used_s: float = 0.05) -> Busy | None:
    """Wait until the run computes. On a server elsewhere: until it says `in_progress`.

    Returns the busy worker where it can be seen. A run that has ended by itself gives None too.
    """
    if target.engine.is_elsewhere:
        return await _begun_elsewhere(target, run_id, used_s)
    if target.local is not None:
        return await target.local.processes.computing(run_id, used_s, _BEGIN_S)
    for _ in range(1000):
        if (await target.read(run_id, "state"))["state"] != "accepted":
            await asyncio.sleep(used_s)
            break
        await asyncio.sleep(0.01)
    return None


async def _begun_elsewhere(target: Target, run_id: str, used_s: float) -> Busy | None:
    """Wait until the engine itself shows work for the run, and then `used_s` more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _BEGIN_S
    while run_id not in await target.engine.eyes.active():
        ended = (await target.read(run_id, "state"))["state"] in ENDED
        if ended or loop.time() > deadline:
            return None
        await asyncio.sleep(0.02)
    await asyncio.sleep(used_s)
    if target.local is None:
        return None
    return await target.local.processes.computing(run_id, 0.0, _BEGIN_S)


async def cancel_and_prove(
    target: Target, finding: Finding, run_id: str, busy: Busy | None
) -> float | None:
    """Cancel; the milliseconds from the request to `canceled`, None when the run had ended.

    Notes as broken: an answer that is not `canceled` within the bound, a process that is still
    there when the answer says `canceled`, and a later read that says something else.
    """
    answer = await target.cancel(run_id)
    there = await _still_there(target, run_id, busy)  # asked at once, before anything else
    if answer.status == 400:
        await expect_truthful(target, finding, run_id, answer)
        return None
    if answer.status != 200:
        finding.broken(f"{run_id}: cancel answered {answer.status} {answer.error_code}")
        return None
    return await _proven(target, finding, run_id, answer, there)


async def _proven(
    target: Target, finding: Finding, run_id: str, answer: Answer, there: list[str]
) -> float:
    finding.checks += 1
    state = answer.json().get("state")
    took_ms = answer.took_ms
    if state == "canceled":
        for text in there:
            finding.broken(f"{run_id}: answered canceled, but {text}")
    else:
        run = await target.ended(run_id)
        took_ms = (asyncio.get_running_loop().time() - answer.sent_s) * 1000
        finding.expect(run["state"] == "canceled", f"{run_id}: cancel accepted, ended {run}")
    run = await target.read(run_id)
    finding.expect(run["state"] == "canceled", f"{run_id}: canceled, then read {run['state']}")
    finding.expect("file" not in run, f"{run_id}: canceled, but it has a file")
    return took_ms


async def _still_there(target: Target, run_id: str, busy: Busy | None) -> list[str]:
    """What is left of the run in the process table, and in an engine elsewhere."""
    left: list[str] = []
    if run_id in await target.engine.eyes.active():
        left.append(f"{target.engine.name} still runs its work")
    if target.local is None:
        return left
    left += [f"process {pid} carries its name" for pid in target.local.processes.of_run(run_id)]
    if busy is not None and not busy.has_ended():
        left.append(f"its process {busy.pid} has not ended")
    elif busy is not None and state_of(busy.pid) == "Z":
        left.append(f"its process {busy.pid} has not been reaped")
    return left


async def expect_truthful(target: Target, finding: Finding, run_id: str, answer: Answer) -> str:
    """A refused cancel must name how the run ended, and every read must agree; that state."""
    said = answer.error_code.removeprefix("run_already_")
    run = await target.read(run_id)
    finding.expect(
        run["state"] == said,
        f"{run_id}: refused with {answer.error_code}, but it reads {run['state']}",
    )
    has_file = "file" in run
    finding.expect(has_file == (said == "complete"), f"{run_id}: {said}, file: {has_file}")
    return said
