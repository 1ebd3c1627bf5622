"""Ending work on Spark by its name, from any process that knows it: what a node's stopper asks.

The name's session is emptied (`ending.py`) and then released. The server refuses the id of a
released session from then on (it remembers 1,000 of them,
`spark.connect.session.manager.closedSessionsTombstonesSize`), and what our workers send names the
very session that they saw; so nothing starts under the name afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from queryrun.engines.base import REMOTE_BOUND_S, RemotePlace
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.ending import end_work
from queryrun.engines.spark.failures import Scene, failure_of
from queryrun.engines.spark.place import SparkPlace, place_of_options, session_id_of
from queryrun.engines.spark.said import SparkError
from queryrun.engines.spark.ui import SparkUi


class SparkRemote:
    """See `engines.base.RemoteEngine`. Keeps nothing between calls."""

    def stop(self, place: RemotePlace, name: str) -> None:
        """End the work of this name. Returns when Spark shows none of it as running.

        With `ui_url` that is: no job of it and no task on an executor. Without, only what Spark
        Connect says: a job that was submitted during the interrupt may go on (`ending.py`).
        """
        deadline = time.monotonic() + REMOTE_BOUND_S
        spark = place_of_options(place.options, place.secret)
        with _translated(), _client(spark, session_id_of(name)) as client:
            end_work(client, spark, name, deadline)

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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SparkError as error:
        raise failure_of(error.said, Scene()) from error
