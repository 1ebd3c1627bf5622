"""What an error around an attempt means for its run: a failure, and whether the node was short.

`internal_error` is left for bugs. It carries an id, and the log has an event with the same id.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from structlog.typing import FilteringBoundLogger

from queryrun.causes import Cause, cause_of
from queryrun.errors import ConfigurationError, Failure, FailureCode, Unavailable
from queryrun.processes.errors import ForkServerLost
from queryrun.worker.errors import NoDirectory, NotSetUp, PoolClosed, WorkerDied
from queryrun.worker.frames import InternalError


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """A failure, and what the node was short of; None when it was not the node."""

    failure: Failure
    shortage: str | None = None


def failure_of(error: Exception, log: FilteringBoundLogger) -> AttemptFailure:
    """What an exception of an attempt means. A bug is logged here, with the id of its failure."""
    cause = cause_of(error)
    match error:
        case WorkerDied():  # an OOM kill, a crash of the engine, a kill from outside
            return AttemptFailure(
                Failure(FailureCode.WORKER_LOST, f"The worker process died ({error})")
            )
        case Unavailable():
            return _short("store", cause, "The store could not be reached")
        case NotSetUp():
            return _short("workers", cause, "A worker process could not be set up")
        case ForkServerLost() | PoolClosed():
            return _short("workers", cause, "No worker process could be started")
        case NoDirectory():
            no_room = "The node has no room for the statement's files"
            return _short(error.part, cause, no_room, FailureCode.STORAGE_FAILED)
        case ConfigurationError():  # such as a secret's file that somebody has removed
            log.error("settings_unusable", reason=str(error))
            return _short("settings", cause, "What the statement needs is not set up any more")
    if cause is not None and cause.may_pass:
        return _short("node", cause, "The node could not start the statement")
    if isinstance(error, OSError) and cause is not None:  # a probe says whether it is the node's
        message = f"The node could not start the statement: {cause.sentence}"
        return AttemptFailure(Failure(FailureCode.STORAGE_FAILED, message))
    return AttemptFailure(_bug(error, log))


def reported_bug(report: InternalError | None, log: FilteringBoundLogger) -> Failure:
    """The failure of a statement whose worker reported an error of ours, or nothing at all."""
    error_id = _new_id()
    log.error(
        "internal_error",
        error_id=error_id,
        exception=None if report is None else report.exception,
        traceback=() if report is None else report.traceback,
    )
    return _internal_error(error_id)


def _short(
    part: str,
    cause: Cause | None,
    message: str,
    code: FailureCode = FailureCode.ENGINE_UNAVAILABLE,
) -> AttemptFailure:
    why = message if cause is None else cause.sentence
    failure = Failure(code, message if cause is None else f"{message}: {why}")
    return AttemptFailure(failure, f"{part}: {why}")


def _bug(error: Exception, log: FilteringBoundLogger) -> Failure:
    """Type and frames, not the message, which may quote a statement."""
    error_id = _new_id()
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    log.error("internal_error", error_id=error_id, exception=type(error).__name__, traceback=frames)
    return _internal_error(error_id)


def _internal_error(error_id: str) -> Failure:
    return Failure(
        FailureCode.INTERNAL_ERROR,
        f"The service failed to run the statement (error {error_id}; the operator's log explains "
        "it)",
    )


def _new_id() -> str:
    return uuid4().hex[:12]
