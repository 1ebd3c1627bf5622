"""Cancel one run and verify that its work has stopped, for classes A, C, D and F."""

from __future__ import annotations

import asyncio

from queryrun.cancel_suite.http import Response
from queryrun.cancel_suite.processes import BusyWorker, state_of
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import TERMINAL_STATES, Target

_START_TIMEOUT_S = 30.0


async def wait_computing(target: Target, run_id: str, used_s: float = 0.05) -> BusyWorker | None:
    """Wait until the run computes; on a remote server until it is `in_progress`.

    Returns the worker if its process can be seen. None also for a run that has finished.
    """
    if target.engine.is_remote:
        return await _wait_computing_remote(target, run_id, used_s)
    if target.local is not None:
        return await target.local.processes.computing(run_id, used_s, _START_TIMEOUT_S)
    for _ in range(1000):
        if (await target.read(run_id, "state"))["state"] != "accepted":
            await asyncio.sleep(used_s)
            break
        await asyncio.sleep(0.01)
    return None


async def _wait_computing_remote(target: Target, run_id: str, used_s: float) -> BusyWorker | None:
    """Wait until the engine itself lists work of the run, and then `used_s` more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_TIMEOUT_S
    while run_id not in await target.engine.probe.active():
        wait_finished = (await target.read(run_id, "state"))["state"] in TERMINAL_STATES
        if wait_finished or loop.time() > deadline:
            return None
        await asyncio.sleep(0.02)
    await asyncio.sleep(used_s)
    if target.local is None:
        return None
    return await target.local.processes.computing(run_id, 0.0, _START_TIMEOUT_S)


async def cancel_and_verify(
    target: Target, finding: Finding, run_id: str, busy: BusyWorker | None
) -> float | None:
    """Cancel; the milliseconds from the request to `canceled`, None when the run had finished.

    Records as violations: a response other than `canceled`, a process that still exists when the
    response says `canceled`, and a later read with another state.
    """
    response = await target.cancel(run_id)
    left = await _left_of(target, run_id, busy)  # checked first, right after the response
    if response.status == 400:
        await expect_true_refusal(target, finding, run_id, response)
        return None
    if response.status != 200:
        finding.add_violation(f"{run_id}: cancel responded {response.status} {response.error_code}")
        return None
    return await _verified(target, finding, run_id, response, left)


async def _verified(
    target: Target, finding: Finding, run_id: str, response: Response, left: list[str]
) -> float:
    """Check the response and later reads; the duration in ms, also if `canceled` came later."""
    finding.checks += 1
    state = response.json().get("state")
    duration_ms = response.duration_ms
    if state == "canceled":
        for text in left:
            finding.add_violation(f"{run_id}: responded canceled, but {text}")
    else:
        run = await target.wait_finished(run_id)
        duration_ms = (asyncio.get_running_loop().time() - response.sent_s) * 1000
        finding.expect(run["state"] == "canceled", f"{run_id}: cancel accepted, finished {run}")
    run = await target.read(run_id)
    finding.expect(run["state"] == "canceled", f"{run_id}: canceled, then read {run['state']}")
    finding.expect("file" not in run, f"{run_id}: canceled, but it has a file")
    return duration_ms


async def _left_of(target: Target, run_id: str, busy: BusyWorker | None) -> list[str]:
    """What is left of the run in the process table and in the remote engine."""
    left: list[str] = []
    if run_id in await target.engine.probe.active():
        left.append(f"{target.engine.name} still runs its work")
    if target.local is None:
        return left
    left += [f"process {pid} carries its name" for pid in target.local.processes.of_run(run_id)]
    if busy is not None and not busy.has_exited():
        left.append(f"its process {busy.pid} has not exited")
    elif busy is not None and state_of(busy.pid) == "Z":
        left.append(f"its process {busy.pid} has not been reaped")
    return left


async def expect_true_refusal(
    target: Target, finding: Finding, run_id: str, response: Response
) -> str:
    """Expect a refused cancel to name the run's final state, as a read does; returns the state."""
    reported = response.error_code.removeprefix("run_already_")
    run = await target.read(run_id)
    finding.expect(
        run["state"] == reported,
        f"{run_id}: refused with {response.error_code}, but it reads {run['state']}",
    )
    has_file = "file" in run
    finding.expect(has_file == (reported == "complete"), f"{run_id}: {reported}, file: {has_file}")
    return reported
