"""What extension fields cost extra to read: the queue position, the attempts of a run."""

from __future__ import annotations

from collections.abc import Iterable

from queryrun.http.times import iso
from queryrun.http.v2.render import NO_EXTRAS, Extras
from queryrun.http.v2.view import View
from queryrun.runs.desk import Desk
from queryrun.runs.model import Run, RunMove
from queryrun.runs.state import RunEvent, RunState

OUTCOMES = {
    RunEvent.COMPLETE: "complete",
    RunEvent.FAIL: "failed",
    RunEvent.REQUEUE: "retried",
    RunEvent.FREED: "canceled",
}
"""How an attempt ended, by the event that ended it."""


async def gather_extras(desk: Desk, run: Run, view: View) -> Extras:
    """Read what the view asks for by name; nothing at all for most requests."""
    if view.fields is None:
        return NO_EXTRAS
    waiting = view.wants("queue_position") and run.state is RunState.ACCEPTED
    position = await desk.store.queue_position(run.id) if waiting else None
    moves = await desk.store.moves(run.id) if view.wants("attempts") else []
    return Extras(position, tuple(attempts_of(moves)))


def attempts_of(moves: Iterable[RunMove]) -> list[dict[str, object]]:
    """The attempts in a run's history, oldest first: when each started, ended, and how."""
    attempts: dict[int, dict[str, object]] = {}
    for move in moves:
        if move.event is RunEvent.CLAIM:
            attempts[move.attempt] = {"number": move.attempt, "started_time": iso(move.at)}
        elif move.event in OUTCOMES and move.attempt in attempts:
            attempts[move.attempt] |= {"ended_time": iso(move.at), "outcome": OUTCOMES[move.event]}
    return list(attempts.values())
