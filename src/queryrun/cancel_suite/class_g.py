"""Class G: the client hangs on a word. Each answer can be told from every other."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.proof import begun
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Target


async def run(target: Target, _plan: Plan, progress: Progress) -> Finding:
    """Every response to a cancel, on runs in every state (contract B4)."""
    finding = Finding("G", "words a client can rely on")
    progress.begin(finding.title, len(_CHECKS))
    for check in _CHECKS:
        await check(target, finding)
        progress.step()
    return finding


async def _unknown_is_404(target: Target, finding: Finding) -> None:
    for run_id in (str(uuid4()), "no-such-run", "%00"):
        answer = await target.cancel(run_id)
        finding.checks += 1
        finding.expect(answer.status == 404, f"cancel of {run_id!r}: {answer.status}")
        code = answer.error_code
        finding.expect(code == "resource_not_found", f"cancel of {run_id!r}: code {code!r}")


async def _too_late_says_how_it_ended(target: Target, finding: Finding) -> None:
    for sql, state in (("SELECT 1 AS a", "complete"), (target.words.fails, "failed")):
        run_id = await target.submit(sql)
        before = await target.ended(run_id)
        finding.expect(before["state"] == state, f"{run_id}: {before['state']}, not {state}")
        await _expect_refusal(target, finding, run_id, state)
        after = await target.read(run_id)
        same = _without_links(before) == _without_links(after)
        finding.expect(same, f"{run_id}: a refused cancel changed it")


async def _twice_is_told_from_too_late(target: Target, finding: Finding) -> None:
    run_id = await target.submit(target.words.stubborn)
    first = await target.cancel(run_id)
    finding.expect(first.status == 200, f"{run_id}: first cancel {first.status}")
    await target.ended(run_id)
    await _expect_refusal(target, finding, run_id, "canceled")


async def _expect_refusal(target: Target, finding: Finding, run_id: str, state: str) -> None:
    answer = await target.cancel(run_id)
    finding.checks += 1
    told = answer.status, answer.error_code
    finding.expect(told == (400, f"run_already_{state}"), f"cancel of a {state} run: {told}")


async def _the_word_is_canceled(target: Target, finding: Finding) -> None:
    run_id = await target.submit(target.words.runaway)
    await target.cancel(run_id)
    run = await target.ended(run_id)
    finding.checks += 1
    finding.expect(run["state"] == "canceled", f"{run_id}: the word is {run['state']!r}")
    for word in ("canceled", "cancelled"):
        query = urlencode({"filter[]": f"state.EQ:{word}", "page_size": 5})
        answer = await target.http.ask("GET", f"/v2/query_runs?{query}")
        if answer.status == 405:
            finding.notes.append("the list of runs is switched off: both spellings not tried")
            return
        finding.checks += 1
        found = [one["id"] for one in answer.json().get("data", [])]
        finding.expect(run_id in found, f"list with the word {word!r}: {answer.status}, not found")


async def _the_same_key_gives_the_same_answer(target: Target, finding: Finding) -> None:
    run_id = await target.submit(target.words.runaway)
    key = {"idempotency-key": str(uuid4())}
    first = await target.cancel(run_id, key)
    again = await target.cancel(run_id, key)
    finding.checks += 1
    same = (first.status, first.json()) == (again.status, again.json())
    finding.expect(same and first.status == 200, f"{run_id}: {first.status}, then {again.status}")


async def _asked_to_answer_at_once(target: Target, finding: Finding) -> None:
    run_id = await target.submit(target.words.stubborn)
    busy = await begun(target, run_id, used_s=0.1)
    answer = await target.cancel(run_id, {"prefer": "respond-async"})
    finding.checks += 1
    shown = answer.json().get("state")
    finding.expect(answer.status == 200, f"{run_id}: respond-async {answer.status}")
    finding.expect(shown in {"in_progress", "canceled"}, f"{run_id}: respond-async {shown!r}")
    run = await target.ended(run_id)
    finding.expect(run["state"] == "canceled", f"{run_id}: accepted, ended {run['state']}")
    if busy is not None:
        busy.close()


async def _the_record_is_kept(target: Target, finding: Finding) -> None:
    run_id = await target.submit(target.words.stubborn)
    busy = await begun(target, run_id, used_s=0.1)
    await target.cancel(run_id)
    record: dict[str, Any] = (await target.ended(run_id, "state,cancellation"))["cancellation"]
    finding.checks += 1
    names = {"requested_time", "canceled_time", "canceled_by", "reason", "stage", "engine_stop"}
    missing = names - record.keys()
    finding.expect(not missing, f"{run_id}: the record lacks {sorted(missing)}")
    finding.expect(record.get("reason") == "user", f"{run_id}: {json.dumps(record)}")
    if busy is not None:
        busy.close()


def _without_links(run: dict[str, Any]) -> dict[str, Any]:
    """Links are signed anew on each read."""
    file = {name: value for name, value in run.get("file", {}).items() if name != "url"}
    return run | {"file": file}


_Check = Callable[[Target, Finding], Coroutine[Any, Any, None]]
_CHECKS: tuple[_Check, ...] = (
    _unknown_is_404,
    _too_late_says_how_it_ended,
    _twice_is_told_from_too_late,
    _the_word_is_canceled,
    _the_same_key_gives_the_same_answer,
    _asked_to_answer_at_once,
    _the_record_is_kept,
)
