"""Ending work on Spark by its name, from any process that knows it: what a node's stopper asks.

The name's session is interrupted until Spark shows every operation of it as ended, and is then
released. A released session's id is refused by the server from then on (it remembers 1,000 of
them, `spark.connect.session.manager.closedSessionsTombstonesSize`), and what our workers send
names the very session that they saw; so nothing starts under the name afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from queryrun.engines.base import REMOTE_BOUND_S, RemotePlace
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.failures import Scene, failure_of
from queryrun.engines.spark.place import SparkPlace, place_of_options, session_id_of
from queryrun.engines.spark.proto import GetStatusResponse
from queryrun.engines.spark.said import Said, SparkError
from queryrun.engines.spark.ui import SparkUi

LOOK_AGAIN_S = 0.05
_Status = GetStatusResponse.OperationStatus
_ENDED = frozenset(
    {
        _Status.OPERATION_STATE_SUCCEEDED,
        _Status.OPERATION_STATE_FAILED,
        _Status.OPERATION_STATE_CANCELLED,
    }
)
_RELEASED = "INVALID_HANDLE.SESSION_CLOSED"


class SparkRemote:
    """See `engines.base.RemoteEngine`. Keeps nothing between calls."""

    def stop(self, place: RemotePlace, name: str) -> None:
        """End the work of this name. Returns when Spark shows none of it as running.

        With `ui_url`: when no task of it runs on an executor any more either. Without, tasks that
        were told to stop may take a moment longer; Spark Connect cannot say.
        """
        deadline = time.monotonic() + REMOTE_BOUND_S
        spark = place_of_options(place.options, place.secret)
        with _translated():
            with _client(spark, session_id_of(name)) as client:
                if _is_there(client):
                    _interrupt_until_ended(client, deadline)
                    client.release()
            if spark.ui_url:
                _wait_until_idle(SparkUi(spark.ui_url, deadline), name, deadline)

    def names(self, place: RemotePlace) -> list[str]:
        """The names of our work that has jobs running; empty when there is no `ui_url` to ask."""
        spark = place_of_options(place.options, place.secret)
        if not spark.ui_url:
            return []
        with _translated():
            return SparkUi(spark.ui_url, time.monotonic() + REMOTE_BOUND_S).running_names()

    def check(self, place: RemotePlace) -> None:
        """Return when the server analyzes a query in a new session."""
        spark = place_of_options(place.options, place.secret)
        with _translated(), _client(spark, str(uuid.uuid4())) as client:
            client.schema("SELECT 1")
            client.release(for_good=False)


@contextmanager
def _client(place: SparkPlace, session_id: str) -> Iterator[SparkClient]:
    with closing(SparkClient(place, session_id, bound_s=REMOTE_BOUND_S / 2)) as client:
        yield client


def _is_there(client: SparkClient) -> bool:
    """Make the session, so that its release is remembered. False: it has been released before."""
    try:
        client.touch()
    except SparkError as error:
        if error.said.error_class == _RELEASED:
            return False
        raise
    return True


def _interrupt_until_ended(client: SparkClient, deadline: float) -> None:
    """Interrupt again and again: an interrupt before an operation is registered is lost."""
    while True:
        client.interrupt_all()
        if _have_all_ended(client):
            return
        _pause(deadline)


def _have_all_ended(client: SparkClient) -> bool:
    try:
        return all(state in _ENDED for state in client.states())
    except SparkError as error:
        if error.said.status == "UNIMPLEMENTED":  # before 4.2: the interrupt's answer must do
            return True
        raise


def _wait_until_idle(ui: SparkUi, name: str, deadline: float) -> None:
    while not ui.is_idle(name):
        _pause(deadline)


def _pause(deadline: float) -> None:
    if time.monotonic() + LOOK_AGAIN_S > deadline:
        raise SparkError(Said("DEADLINE_EXCEEDED"))
    time.sleep(LOOK_AGAIN_S)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SparkError as error:
        raise failure_of(error.said, Scene()) from error
