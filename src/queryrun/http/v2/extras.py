"""The body of a run. Some extension fields have to be read in addition to the run: its queue
position, its attempts, its progress on another node, what it has used."""

from __future__ import annotations

from collections.abc import Iterable

from queryrun.http.links import Links
from queryrun.http.times import iso
from queryrun.http.v2.fields import PART_FIELDS
from queryrun.http.v2.render import Extras, RunDetails, encode_run
from queryrun.http.v2.view import View
from queryrun.runs.context import RequestContext
from queryrun.runs.model import ATTEMPT_OUTCOMES, Run, RunEventRecord
from queryrun.runs.read import progress_of
from queryrun.runs.state import RunEvent, RunState
from queryrun.runs.usage import UsageTotals, of_own_rows

PART_NAMES = frozenset(field.name for field in PART_FIELDS)


async def run_body(context: RequestContext, run: Run, view: View, links: Links) -> bytes:
    """The run's JSON body, with the fields that have to be read first if the view names any."""
    return encode_run(await run_details(context, run, view, links), view)


async def run_details(context: RequestContext, run: Run, view: View, links: Links) -> RunDetails:
    """The run and what the view needs in addition; for most views that is nothing."""
    if view.fields is None:
        return RunDetails(run, links)
    records = await context.store.events(run.id) if view.includes("attempts") else []
    is_waiting = run.state is RunState.ACCEPTED
    needs_position = view.includes("queue_position") or view.includes("waiting_for")
    position = await context.store.queue_position(run.id) if needs_position and is_waiting else None
    extras = Extras(
        queue_position=position,
        waiting_for=None if position is None else waiting_for(context, run, position),
        progress=await progress_of(context, run) if view.includes("progress") else None,
        attempts=tuple(attempts_of(records)),
        usage=await _usage(context, run) if view.includes("usage") else None,
    )
    return RunDetails(run, links, extras, parts=view.fields & PART_NAMES)


async def _usage(context: RequestContext, run: Run) -> UsageTotals:
    used = await context.usage.run_usage(run.id)
    return of_own_rows(used) if run.request.org_ids else used


def waiting_for(context: RequestContext, run: Run, position: int) -> str:
    """What a waiting run waits for: `no_worker` (no live node serves its source), `source` (its
    engine is not available), `retry` (the pause before another attempt), `turn` (runs of its
    entity before it) or `slot` (a free slot). Or the part of the node that no run can start
    without, and why: `results: the disk is full …`."""
    if not context.has_worker(run.request.source):
        return "no_worker"
    if context.unavailable_reason(run.request.source) is not None:
        return "source"
    if (blocked_by := context.blocked_by()) is not None:
        return blocked_by
    if run.ready_time > context.now():
        return context.wait_reason(run.id) or "retry"
    return "turn" if position else "slot"


def attempts_of(records: Iterable[RunEventRecord]) -> list[dict[str, object]]:
    """The attempts in a run's event records, oldest first: start, end and outcome."""
    attempts: dict[int, dict[str, object]] = {}
    for record in records:
        if record.event is RunEvent.CLAIM:
            attempts[record.attempt] = {"number": record.attempt, "started_time": iso(record.at)}
        elif record.event in ATTEMPT_OUTCOMES and record.attempt in attempts:
            attempts[record.attempt] |= {
                "ended_time": iso(record.at),
                "outcome": ATTEMPT_OUTCOMES[record.event].value,
            }
    return list(attempts.values())
