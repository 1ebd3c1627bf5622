"""What must hold after every simulation, whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World

MAX_PAUSE_S = 20.0


def judge(world: World) -> None:
    """Add what is violated to the world's violations."""
    for check in (_lost, _bugs, _twice, _cancels, _charges, _pauses, _still_computing, _files):
        world.violations.extend(check(world))


def _lost(world: World) -> Iterator[str]:
    """Every accepted run is there, and has ended."""
    for run_id in world.accepted.values():
        rows = world.backend.query("SELECT state FROM runs WHERE id = ?", run_id)
        if not rows:
            yield f"{run_id} is gone"
        elif rows[0][0] not in {"complete", "failed", "canceled"}:
            yield f"{run_id} is still {rows[0][0]}"


def _bugs(world: World) -> Iterator[str]:
    """Nothing fails for an error of ours."""
    rows = world.backend.query("SELECT id FROM runs WHERE failure_code = 'internal_error'")
    yield from (f"{run_id} failed for an internal error" for (run_id,) in rows)


def _twice(world: World) -> Iterator[str]:
    """Nothing happens to a run after its end."""
    rows = world.backend.query(
        "SELECT run_seq FROM run_events e WHERE at_ms > (SELECT min(at_ms) FROM run_events f"
        " WHERE f.run_seq = e.run_seq AND f.state IN ('complete', 'failed', 'canceled'))"
    )
    yield from (f"run {seq} changed after its end" for (seq,) in rows)


def _cancels(world: World) -> Iterator[str]:
    """A cancel that was accepted wins."""
    for run_id in world.canceled:
        rows = world.backend.query("SELECT state FROM runs WHERE id = ?", run_id)
        if rows and rows[0][0] not in {"canceled"}:
            yield f"{run_id} was canceled and is {rows[0][0]}"


def _charges(world: World) -> Iterator[str]:
    """A run loses a retry only for a worker that died, a node that died or was cut off."""
    rows = world.backend.query(
        "SELECT r.id, a.number, a.failure_code, a.stop_reason FROM attempts a"
        " JOIN runs r ON r.seq = a.run_seq"
        " WHERE a.failure_code IN ('node_lost', 'worker_lost') AND a.outcome = 'requeued'"
        " AND coalesce(a.stop_reason, '') <> 'shutdown'"
    )
    if rows and not world.faults and not _charged_nothing(world):
        yield f"a healthy attempt was charged: {rows[0]}"


def _charged_nothing(world: World) -> bool:
    [(charged,)] = world.backend.query(
        "SELECT coalesce(sum(q.max_retries - r.remaining_attempts), 0)"
        " FROM runs r JOIN run_requests q ON q.run_seq = r.seq"
    )
    return int(charged) == 0


def _pauses(world: World) -> Iterator[str]:
    """No clock of a node makes a pause longer than the policy has, or shorter than none."""
    rows = world.backend.query(
        "SELECT r.id, r.ready_ms - e.at_ms FROM runs r JOIN run_events e ON e.run_seq = r.seq"
        " WHERE e.event = 'requeue' AND e.at_ms = (SELECT max(at_ms) FROM run_events f"
        " WHERE f.run_seq = r.seq AND f.event = 'requeue')"
    )
    for run_id, pause_ms in rows:
        if not -1000 <= pause_ms <= MAX_PAUSE_S * 1000:
            yield f"{run_id} waits {pause_ms / 1000:.1f} s for another attempt"


def _files(world: World) -> Iterator[str]:
    """The file of a complete run is not removed."""
    rows = world.backend.query("SELECT id, file_key FROM runs WHERE state = 'complete'")
    for run_id, key in rows:
        if key in world.files.discarded:
            yield f"{run_id} is complete, and its file was removed"


def _still_computing(world: World) -> Iterator[str]:
    """When all has ended, nothing computes."""
    for worker in world.engines.workers:
        if worker.run is not None:
            yield f"{worker.handle} computes {worker.run[0]} for nobody"
