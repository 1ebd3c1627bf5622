"""Stopping work on Spark by its name, from any process: what `services/remote_stop` calls.

The name's session is emptied (`stop.py`) and then released. The server refuses the id of a
released session from then on (it remembers 1,000 of them,
`spark.connect.session.manager.closedSessionsTombstonesSize`), and what our workers send names the
very session that they saw; so nothing starts under the name afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from queryrun.engines.base import REMOTE_BOUND_S, RemoteEndpoint
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint, endpoint_from_options, session_id_of
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.failures import ErrorContext, failure_of
from queryrun.engines.spark.stop import stop_work
from queryrun.engines.spark.ui import SparkUi


class SparkRemote:
    """See `engines.base.RemoteEngine`. Keeps nothing between calls."""

    def stop(self, endpoint: RemoteEndpoint, name: str) -> None:
        """End the work of this name. Returns when Spark shows none of it as running.

        With `ui_url` that is: no job of it and no task on an executor. Without, only what Spark
        Connect says: a job that was submitted during the interrupt may go on (`stop.py`).
        """
        deadline = time.monotonic() + REMOTE_BOUND_S
        spark = endpoint_from_options(endpoint.options, endpoint.secret)
        with _translated(), _client(spark, session_id_of(name)) as client:
            stop_work(client, spark, name, deadline)

    def names(self, endpoint: RemoteEndpoint) -> list[str]:
        """The names of our work that has jobs running; empty when there is no `ui_url` to ask."""
        spark = endpoint_from_options(endpoint.options, endpoint.secret)
        if not spark.ui_url:
            return []
        with _translated():
            return SparkUi(spark.ui_url, time.monotonic() + REMOTE_BOUND_S).running_names()

    def check(self, endpoint: RemoteEndpoint) -> None:
        """Return when the server analyzes a query in a new session."""
        spark = endpoint_from_options(endpoint.options, endpoint.secret)
        with _translated(), _client(spark, str(uuid.uuid4())) as client:
            client.schema("SELECT 1")
            client.release(for_good=False)


@contextmanager
def _client(endpoint: SparkEndpoint, session_id: str) -> Iterator[SparkClient]:
    with closing(SparkClient(endpoint, session_id, bound_s=REMOTE_BOUND_S / 2)) as client:
        yield client


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SparkError as error:
        raise failure_of(error.details, ErrorContext()) from error
