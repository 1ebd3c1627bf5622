"""One attempt on Spark: its statement starts there under the attempt's name, its rows come here."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from queryrun.engines.base import (
    WORK_PREFIX,
    EngineLimits,
    EngineProgress,
    EngineUsage,
    GiveSocket,
    RowFilter,
    Rows,
)
from queryrun.engines.duckdb.arrow_encoder import ArrowEncoder
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint, endpoint_from_options, session_id_of
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.failures import ErrorContext, failure_of
from queryrun.engines.spark.preparing import Preparing
from queryrun.engines.spark.stop import stop_work
from queryrun.engines.spark.stream import RowStream
from queryrun.engines.spark.types import fields_of
from queryrun.engines.traced import Traced
from queryrun.sql.trino.markers import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASE_BOUND_S = 4.0
"""How long a statement that was given up is waited for between two runs."""


def open_session(
    options: Mapping[str, str],
    limits: EngineLimits,
    time_zone: str = "UTC",
    secret: str | None = None,
    *,
    give: GiveSocket | None = None,
) -> SparkSession:
    """Ready to speak to the server; nothing is sent before `plan`, which brings the name.

    With `give`, Spark Connect is all that it reaches, without a secret: what may run on after a
    statement that was given up is then for `services/remote_stop` alone.

    `options`: see `endpoint_from_options`, and `dialect`: `native` (Spark's own SQL) or `trino`.
    Raises `RunFailed` for options that cannot work.
    """
    endpoint = endpoint_from_options(options, secret)
    if give is not None:
        endpoint = replace(endpoint, ui_url="")
    encoder, dialect = ArrowEncoder(limits, time_zone), options.get("dialect", "")
    return SparkSession(endpoint, encoder, time_zone, dialect, give)


class SparkSession(Traced):
    """One statement at a time, each in a session of its own on the server. See `EngineSession`."""

    def __init__(
        self,
        endpoint: SparkEndpoint,
        encoder: ArrowEncoder,
        time_zone: str,
        dialect: str = "native",
        give: GiveSocket | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._encoder = encoder
        self._time_zone = time_zone
        self._is_trino = dialect == "trino"
        self._give = give
        self._client: SparkClient | None = None
        self._stream: RowStream | None = None
        self._preparing: Preparing | None = None
        self._name = ""

    @property
    def output_path(self) -> str:
        """A named pipe in the spill directory."""
        return self._encoder.output_path

    def plan(
        self,
        statement: str,
        row_filter: RowFilter | None = None,
        name: str = "",
        values: Sequence[Value] = (),
    ) -> Rows:
        """Start the statement under `name` and return as soon as Spark has analyzed it.

        It runs from then on, and is at most a few batches ahead of whoever reads its rows.
        """
        self._name = name or f"{WORK_PREFIX}unnamed-{uuid.uuid4()}"
        preparing = self._preparing = Preparing(
            self._endpoint, statement, self._is_trino, self._time_zone, self._name, values
        )
        with self._translated():
            client = self._client = SparkClient(
                self._endpoint, session_id_of(self._name), give=self._give
            )
            preparing.open(client)
            sql = preparing.sql(client, row_filter or RowFilter())
            tags = [f"traceparent={self.traceparent}"] if self.traceparent else []
            stream = self._stream = RowStream(client.execute(sql, self._name, *tags))
            fields = fields_of(stream.schema())
            names = {field.arrow_name: field.name for field in fields}
            return self._encoder.rows(stream.reader(fields), names)

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:  # noqa: ARG002 - Spark reports its own positions
        """Spark's errors and the encoder's as `RunFailed`, everything else untouched."""
        if isinstance(error, duckdb.Error | SparkError):
            error = (self._stream and self._stream.error) or error
            if isinstance(error, SparkError):
                context = self._preparing.context if self._preparing else ErrorContext()
                return failure_of(error.details, context)
            if not isinstance(error, duckdb.Error):
                return error  # the stream broke on an error of ours
        return self._encoder.failure_of(error)

    def verify_rows(self) -> None:
        """The engine's own tables have versions of their own."""

    def interrupt(self) -> None:
        """Interrupt Spark's operation by its tag, the call that waits, and the encoder."""
        if self._client is not None:
            self._client.interrupt()
        if self._stream is not None:
            self._stream.interrupt()
        self._encoder.interrupt()

    def progress(self) -> EngineProgress:
        """The share of the tasks that are done, of those that Spark has planned so far, and the
        bytes that they have read."""
        stream = self._stream
        if stream is None:
            return EngineProgress(None)
        return EngineProgress(stream.percent, EngineUsage(read_bytes=stream.read_bytes))

    def usage(self) -> EngineUsage:
        """What Spark has counted of a statement whose rows were all read; nothing of another."""
        return self._stream.counters.usage() if self._stream else EngineUsage()

    def renew(self) -> bool:
        """Release the session on the server; the next statement gets one of its own."""
        self._release_session()
        return True

    def close(self) -> None:
        """Release the session on the server, and close the encoder."""
        self._release_session()
        self._encoder.close()

    def _release_session(self) -> None:
        """Batches are released first: DuckDB must not read from a closed stream."""
        stream, self._stream = self._stream, None
        client, self._client = self._client, None
        if stream is not None:
            self._encoder.release_batches()
            stream.close()
        if client is not None:
            self._release(client, is_complete=stream is not None and stream.is_complete)

    def _release(self, client: SparkClient, *, is_complete: bool) -> None:
        """End the session and what it runs if possible; `services/remote_stop` makes sure."""
        with closing(client), suppress(SparkError):
            if client.is_open and is_complete:
                client.release()
            elif client.is_open:
                stop_work(client, self._endpoint, self._name, time.monotonic() + RELEASE_BOUND_S)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SparkError, duckdb.Error) as error:
            failure = self.failure_of(error)
            raise failure from error
