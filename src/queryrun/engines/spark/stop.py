"""How the work of one name ends on Spark for certain; what Spark does by itself is not enough.

An interrupt ends an operation, and Spark then calls it cancelled and cancels its jobs, once. A job
that another thread of the statement was about to submit (a stage of an adaptive plan, a broadcast)
is submitted afterwards and runs on, with nobody left to cancel it: with an interrupt in the first
100 ms of a join, in half of the cases (Spark 4.2.1). Spark Connect offers nothing against it: an
operation that has ended cannot be interrupted again, nor can its id, by which jobs are tagged, be
used again. The web UI can list jobs by tag and end them; so without it nothing is certain.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint
from queryrun.engines.spark.error_details import SparkError, SparkErrorDetails
from queryrun.engines.spark.proto import GetStatusResponse
from queryrun.engines.spark.ui import SparkUi

POLL_INTERVAL_S = 0.05
SETTLE_S = 0.15
"""How long it must stay quiet: the UI may show a job 0.1 s late (`spark.ui.liveUpdate.period`)."""
MAX_SETTLE_S = 0.9
SLOWNESS = 8
"""On a busy driver a job is submitted, and shown, later than that; how late nobody says. The UI is
as slow as the rest of it, so it must stay quiet for so many times its slowest response."""
_Status = GetStatusResponse.OperationStatus
_TERMINAL_STATES = frozenset(
    {
        _Status.OPERATION_STATE_SUCCEEDED,
        _Status.OPERATION_STATE_FAILED,
        _Status.OPERATION_STATE_CANCELLED,
    }
)
_RELEASED = "INVALID_HANDLE.SESSION_CLOSED"


def stop_work(client: SparkClient, endpoint: SparkEndpoint, name: str, deadline: float) -> None:
    """End everything in the client's session, which is that of `name`, and the session itself.

    Returns when Spark shows no operation of it, and with `ui_url` no job and no task either. Its id
    is refused from then on. Raises `SparkError` at the deadline: then call it again.

    Jobs come last: once the session is released nobody can begin anything that leaves new ones.
    """
    operations: set[str] = set()
    if _make(client):
        operations = _interrupt_until_finished(client, deadline)
        client.release()
    if endpoint.ui_url:  # also when nothing has run here: the same name may have, as another user
        _kill_until_quiet(SparkUi(endpoint.ui_url, deadline), name, operations)


def _make(client: SparkClient) -> bool:
    """Make the session, so that its release is remembered. False: it has been released before."""
    try:
        client.touch()
    except SparkError as error:
        if error.details.error_class == _RELEASED:
            return False
        raise
    return True


def _interrupt_until_finished(client: SparkClient, deadline: float) -> set[str]:
    """Interrupt again and again: one before an operation is registered is lost. Returns the ids of
    the operations that there were.

    An operation that has finished, but whose client never said that it had read everything, is
    called terminating like one that is being interrupted; releasing it tells them apart.
    """
    seen: set[str] = set()
    while True:
        client.interrupt_all()
        operations = client.operations()
        seen.update(one.operation_id for one in operations)
        left = [one for one in operations if one.state not in _TERMINAL_STATES]
        if not left:
            return seen
        for one in left:
            if one.state == _Status.OPERATION_STATE_TERMINATING:
                client.release_operation(one.operation_id)
        _pause(deadline)


def _kill_until_quiet(ui: SparkUi, name: str, operations: Collection[str]) -> None:
    """End the jobs of this name until no thread of the driver is about to submit one or to make
    one known, and after that none, and no task, has been shown for a while; and then still none."""
    quiet_since: float | None = None
    while True:
        if not ui.is_idle(name):
            quiet_since = None
            ui.kill(name)
        elif quiet_since is None or time.monotonic() >= quiet_since + _settle_s(ui):
            is_quiet = not ui.is_submitting(operations)
            if is_quiet and quiet_since is not None and ui.is_idle(name):
                return
            quiet_since = time.monotonic() if is_quiet else None
        _pause(ui.deadline)


def _settle_s(ui: SparkUi) -> float:
    return min(max(SETTLE_S, SLOWNESS * ui.slowest_s), MAX_SETTLE_S)


def _pause(deadline: float) -> None:
    if time.monotonic() + POLL_INTERVAL_S > deadline:
        raise SparkError(SparkErrorDetails("DEADLINE_EXCEEDED"))
    time.sleep(POLL_INTERVAL_S)
