"""Class G: clients depend on codes. Every response is distinguishable from every other."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Target
from queryrun.cancel_suite.verify import wait_computing


async def run(target: Target, _plan: Plan, progress: Progress) -> Finding:
    """Every response to a cancel, on runs in every state (contract B4)."""
    finding = Finding("G", "every response has its own code")
    progress.begin(finding.title, len(_CHECKS))
    for check in _CHECKS:
        await check(target, finding)
        progress.step()
    return finding


async def _unknown_is_404(target: Target, finding: Finding) -> None:
    for run_id in (str(uuid4()), "no-such-run", "%00"):
        response = await target.cancel(run_id)
        finding.checks += 1
        finding.expect(response.status == 404, f"cancel of {run_id!r}: {response.status}")
        code = response.error_code
        finding.expect(code == "resource_not_found", f"cancel of {run_id!r}: code {code!r}")


async def _too_late_names_the_state(target: Target, finding: Finding) -> None:
    """A refused cancel must also leave the run as it was."""
    for sql, state in (("SELECT 1 AS a", "complete"), (target.statements.fails, "failed")):
        run_id = await target.submit(sql)
        before = await target.wait_finished(run_id)
        finding.expect(before["state"] == state, f"{run_id}: {before['state']}, not {state}")
        await _expect_refusal(target, finding, run_id, state)
        after = await target.read(run_id)
        same = _without_links(before) == _without_links(after)
        finding.expect(same, f"{run_id}: a refused cancel changed it")


async def _repeated_cancel_differs_from_too_late(target: Target, finding: Finding) -> None:
    run_id = await target.submit(target.statements.stubborn)
    first = await target.cancel(run_id)
    finding.expect(first.status == 200, f"{run_id}: first cancel {first.status}")
    await target.wait_finished(run_id)
    await _expect_refusal(target, finding, run_id, "canceled")


async def _expect_refusal(target: Target, finding: Finding, run_id: str, state: str) -> None:
    response = await target.cancel(run_id)
    finding.checks += 1
    found = response.status, response.error_code
    finding.expect(found == (400, f"run_already_{state}"), f"cancel of a {state} run: {found}")


async def _the_state_is_canceled(target: Target, finding: Finding) -> None:
    """Both spellings must find the run, because clients of either API version filter by theirs."""
    run_id = await target.submit(target.statements.runaway)
    await target.cancel(run_id)
    run = await target.wait_finished(run_id)
    finding.checks += 1
    finding.expect(run["state"] == "canceled", f"{run_id}: the state is {run['state']!r}")
    for word in ("canceled", "cancelled"):
        query = urlencode({"filter[]": f"state.EQ:{word}", "page_size": 5})
        response = await target.http.request("GET", f"/v2/query_runs?{query}")
        if response.status == 405:
            finding.notes.append("the list of runs is disabled: both spellings not tested")
            return
        finding.checks += 1
        found = [one["id"] for one in response.json().get("data", [])]
        finding.expect(run_id in found, f"list of {word!r}: {response.status}, not found")


async def _the_same_key_gives_the_same_response(target: Target, finding: Finding) -> None:
    """A client that repeats a cancel after a lost response must get the first response."""
    run_id = await target.submit(target.statements.runaway)
    key = {"idempotency-key": str(uuid4())}
    first = await target.cancel(run_id, key)
    again = await target.cancel(run_id, key)
    finding.checks += 1
    same = (first.status, first.json()) == (again.status, again.json())
    finding.expect(same and first.status == 200, f"{run_id}: {first.status}, then {again.status}")


async def _respond_async(target: Target, finding: Finding) -> None:
    """The response may come before the work has stopped; the cancel must still succeed."""
    run_id = await target.submit(target.statements.stubborn)
    busy = await wait_computing(target, run_id, used_s=0.1)
    response = await target.cancel(run_id, {"prefer": "respond-async"})
    finding.checks += 1
    state = response.json().get("state")
    finding.expect(response.status == 200, f"{run_id}: respond-async {response.status}")
    finding.expect(state in {"in_progress", "canceled"}, f"{run_id}: respond-async {state!r}")
    run = await target.wait_finished(run_id)
    finding.expect(run["state"] == "canceled", f"{run_id}: accepted, finished {run['state']}")
    if busy is not None:
        busy.close()


async def _the_cancellation_is_recorded(target: Target, finding: Finding) -> None:
    """Who canceled, when and why must be readable afterwards."""
    run_id = await target.submit(target.statements.stubborn)
    busy = await wait_computing(target, run_id, used_s=0.1)
    await target.cancel(run_id)
    record: dict[str, Any] = (await target.wait_finished(run_id, "state,cancellation"))[
        "cancellation"
    ]
    finding.checks += 1
    names = {"requested_time", "canceled_time", "canceled_by", "reason", "stage", "engine_stop"}
    missing = names - record.keys()
    finding.expect(not missing, f"{run_id}: the record lacks {sorted(missing)}")
    finding.expect(record.get("reason") == "user", f"{run_id}: {json.dumps(record)}")
    if busy is not None:
        busy.close()


def _without_links(run: dict[str, Any]) -> dict[str, Any]:
    """The run without its link, which is signed anew on each read."""
    file = {name: value for name, value in run.get("file", {}).items() if name != "url"}
    return run | {"file": file}


_Check = Callable[[Target, Finding], Coroutine[Any, Any, None]]
_CHECKS: tuple[_Check, ...] = (
    _unknown_is_404,
    _too_late_names_the_state,
    _repeated_cancel_differs_from_too_late,
    _the_state_is_canceled,
    _the_same_key_gives_the_same_response,
    _respond_async,
    _the_cancellation_is_recorded,
)
