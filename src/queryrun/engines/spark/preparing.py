"""A statement as submitted in, the SQL that Spark gets out, in a session that is set up for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import StatementEstimate
from queryrun.engines.io_plan import COLUMN, io_plan
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint
from queryrun.engines.spark.failures import ErrorContext
from queryrun.engines.spark.plan_costs import tables_of
from queryrun.engines.spark.tables import BEFORE, Tables, in_parentheses, literal, quoted
from queryrun.errors import Failure
from queryrun.sql.compile.reading import read
from queryrun.sql.duckdb.translate import explained_at_engine
from queryrun.sql.spark.session import SETTINGS as TRANSLATED_SETTINGS
from queryrun.sql.trino.markers import Value

_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.runSQLOnFiles": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
"""Errors instead of NULLs, no paths for tables, Arrow's usual strings."""


@dataclass(slots=True)
class Preparing:
    """One statement on one client. `context`: what an error of this moment is read against."""

    endpoint: SparkEndpoint
    statement: str = field(repr=False)
    is_trino: bool
    time_zone: str
    name: str
    values: Sequence[Value] = ()
    """Of `?` and `:name`."""
    context: ErrorContext = field(init=False)

    def __post_init__(self) -> None:
        self.context = ErrorContext(self.statement, BEFORE)

    def open(self, client: SparkClient) -> None:
        """Make the session on the server and set it up."""
        client.open(self._settings())
        client.command(f"USE {quoted(self.endpoint.catalog, self.endpoint.schema)}", self.name)

    def sql(self, client: SparkClient, row_filter: RowFilter) -> str:
        """What is sent: checked, its rows restricted, in parentheses."""
        tables = Tables(client, self.endpoint, row_filter, self.name)
        if self.is_trino:
            self.context = ErrorContext(
                self.statement, is_translated=True, explained=self._explained
            )
            translated = in_parentheses(self._translated(tables, row_filter))
            return self._io_plan(client, translated) if self._shows_io() else translated
        if tables.offer_for(self.statement):
            return in_parentheses(self.statement)
        self.context = ErrorContext(self.statement)
        return self.statement

    def _translated(self, tables: Tables, row_filter: RowFilter) -> str:
        """Imported here: the translator is not small, and not every source needs it."""
        from queryrun.engines.spark.trino_dialect import translated

        return translated(self.statement, tables, row_filter, self.time_zone, self.values)

    def _explained(self, failure: Failure) -> Failure:
        return explained_at_engine(read(self.statement, self.values), failure)

    def _shows_io(self) -> bool:
        return read(self.statement, self.values).explain == "io"

    def _io_plan(self, client: SparkClient, sql: str) -> str:
        """What the query would read, as a constant. Clients of orgs have been refused before."""
        estimate = StatementEstimate((), tables_of(client.explained(sql)))
        plan = io_plan(estimate, self.endpoint.catalog, self.endpoint.schema)
        return in_parentheses(f"SELECT {literal(plan)} AS {quoted(COLUMN)}")

    def _settings(self) -> Mapping[str, str]:
        zone = {"spark.sql.session.timeZone": self.time_zone}
        return {**_SETTINGS, **(TRANSLATED_SETTINGS if self.is_trino else zone)}
