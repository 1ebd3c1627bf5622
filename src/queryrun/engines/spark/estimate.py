"""What a statement would read on Spark, by Spark's own statistics: `EXPLAIN COST`.

Spark analyzes and plans the statement; no job is started. The bytes are those of the tables' files
that are left after pruning, as whole files: Spark says nothing of single columns. Rows are known
of tables that were analyzed (`ANALYZE TABLE … COMPUTE STATISTICS`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress

from queryrun.engines.base import ColumnInfo, RowFilter
from queryrun.engines.estimates import StatementEstimate, unknown_tables
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint, endpoint_from_options, session_id_of
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.failures import failure_of
from queryrun.engines.spark.plan_costs import tables_of
from queryrun.engines.spark.preparing import Preparing
from queryrun.engines.spark.types import spark_text
from queryrun.sql.compile.information import described
from queryrun.sql.compile.types import signature
from queryrun.sql.spark.translate import table_column
from queryrun.sql.trino.markers import Value


def open_estimator(
    options: Mapping[str, str],
    secret: str | None,
    work_dir: str,  # noqa: ARG001 - writes nothing
    time_zone: str,
) -> SparkEstimator:
    """An estimator over one entity's source. Sends nothing yet."""
    is_trino = options.get("dialect", "") == "trino"
    return SparkEstimator(endpoint_from_options(options, secret), time_zone, is_trino=is_trino)


class SparkEstimator:
    """See `estimates.Estimator`. Each statement has a session of its own on the server."""

    def __init__(self, endpoint: SparkEndpoint, time_zone: str, *, is_trino: bool) -> None:
        self._endpoint = endpoint
        self._time_zone = time_zone
        self._is_trino = is_trino

    def estimate(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value] = ()
    ) -> StatementEstimate:
        """Ask for the columns, then for the plan.

        Statistics count rows of all orgs, so a client of some is told nothing by them.
        """
        name = f"tables-{uuid.uuid4()}"  # no attempt's name: nobody ends it as without an owner
        preparing = Preparing(
            self._endpoint, statement, self._is_trino, self._time_zone, name, values
        )
        with self._session(preparing) as client:
            sql = preparing.sql(client, row_filter)
            fields = client.schema(sql).struct.fields
            tables = tables_of(client.explained(sql))
        columns = (table_column(one.name, spark_text(one)) for one in fields)
        kinds = [ColumnInfo(*row).type for row in described(columns, signature)]
        names = [one.name for one in fields]
        if row_filter.is_by_org:
            tables = unknown_tables(one.name for one in tables)
        return StatementEstimate(tuple(zip(names, kinds, strict=True)), tables)

    def prepare(self) -> None:
        """Nothing is kept between statements."""

    def release_files(self) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing is kept between statements."""

    @contextmanager
    def _session(self, preparing: Preparing) -> Iterator[SparkClient]:
        """A session that ends with the statement."""
        with closing(SparkClient(self._endpoint, session_id_of(preparing.name))) as client:
            try:
                preparing.open(client)
                yield client
            except SparkError as error:
                raise failure_of(error.details, preparing.context) from error
            finally:
                with suppress(SparkError):
                    if client.is_open:
                        client.release()
