"""The tables of a source's schema on Spark, and the rows of them that a statement may see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.failures import code_of
from queryrun.engines.spark.guard import UnreadableError, read_native
from queryrun.engines.spark.stream import rows_of
from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.scope import Location

if TYPE_CHECKING:
    from queryrun.engines.base import RowFilter
    from queryrun.engines.spark.proto import DataType

DELETED = "deleted"
"""The column that marks deleted rows (contract F3)."""
BARRIER = "rand() >= 0"
"""Always true, and Spark does not know: it moves no predicate across a filter that is not
deterministic, so nothing of the caller's is evaluated before the restriction by org."""
BEFORE = "SELECT * FROM (\n"
"""What stands before every query: in parentheses Spark's grammar allows nothing but a query."""
_VISIBLE = {
    "exclude": f"NOT coalesce({DELETED}, false)",
    "only": f"coalesce({DELETED}, false)",
}


class Tables:
    """What one statement may read. Restricted tables are offered as temporary views.

    A temporary view stands before a table of the same name, and is gone with the session.
    """

    def __init__(
        self, client: SparkClient, endpoint: SparkEndpoint, row_filter: RowFilter, tag: str
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._row_filter = row_filter
        self._tag = tag

    def offer_for(self, statement: str) -> bool:
        """Check a statement in Spark's dialect and restrict its tables. False: it is no query.

        Raises `RunFailed` for what is not allowed, `SparkError` for what Spark cannot parse.
        """
        try:
            reading = read_native(statement, self._endpoint.catalog, self._endpoint.schema)
        except UnreadableError:
            self._client.schema(in_parentheses(statement))  # raises when it is wrong
            message = "This kind of statement is not supported"
            raise RunFailed.of(FailureCode.NOT_SUPPORTED, message) from None
        hides_deleted = DELETED not in reading.columns
        for name in sorted(reading.qualified):
            self._refuse_hidden_rows(name, hides_deleted=hides_deleted)
        self.restrict(reading.tables, hides_deleted=hides_deleted)
        return reading.is_query

    def _refuse_hidden_rows(self, name: str, *, hides_deleted: bool) -> None:
        """A name with its schema leads past the view, to the rows that are not to be seen."""
        advice = f"Name the table '{name}' without its schema"
        if self._row_filter.is_by_org:
            raise RunFailed.of(FailureCode.NOT_ALLOWED, f"{advice}: rows are restricted by org")
        deleted = self._visible_mark(hides_deleted=hides_deleted)
        schema = self.schema(name) if deleted else None
        if schema and self._by_mark(schema, deleted):
            message = f"{advice}, or select its column '{DELETED}': it has deleted rows to hide"
            raise RunFailed.of(FailureCode.NOT_ALLOWED, message)

    def _visible_mark(self, *, hides_deleted: bool) -> str | None:
        return _VISIBLE.get(self._row_filter.deleted_rows_of_source) if hides_deleted else None

    def restrict(self, names: Iterable[str], *, hides_deleted: bool) -> None:
        """Put a view before each table of which the statement may not see all rows."""
        deleted = self._visible_mark(hides_deleted=hides_deleted)
        if deleted is None and not self._row_filter.is_by_org:
            return
        for name in sorted(names):
            schema = self.schema(name)
            conditions = [self._by_org(schema), self._by_mark(schema, deleted)] if schema else []
            if any(conditions):
                self._show(name, " AND ".join(filter(None, conditions)), bool(conditions[0]))

    def names(self) -> list[str]:
        """All tables and views of the schema, in lower case."""
        where = quoted(self._endpoint.catalog, self._endpoint.schema)
        rows = rows_of(self._client.execute(f"SHOW TABLES IN {where}", self._tag))
        return sorted({str(row["tableName"]).lower() for row in rows if row["namespace"]})

    @property
    def location(self) -> Location:
        """What a statement in Trino's SQL may put in front of a table's name."""
        return Location(self._endpoint.catalog.lower(), self._endpoint.schema.lower())

    def full(self, name: str) -> str:
        """A table's whole name, quoted."""
        return quoted(self._endpoint.catalog, self._endpoint.schema, name)

    def schema(self, name: str) -> DataType | None:
        """A table's columns; None when there is no such table."""
        try:
            return self._client.schema(f"SELECT * FROM {self.full(name)}")
        except SparkError as error:
            if code_of(error.details) is FailureCode.NAME_NOT_FOUND:
                return None
            raise

    def _show(self, name: str, condition: str, is_by_org: bool) -> None:
        rows = f"SELECT * FROM {self.full(name)} WHERE {condition}"
        if is_by_org:
            rows = f"SELECT * FROM ({rows}) WHERE {BARRIER}"
        self._client.command(f"CREATE TEMPORARY VIEW {quoted(name)} AS {rows}", self._tag)

    def _by_org(self, schema: DataType) -> str:
        column = self._row_filter.org_column
        names = {field.name.lower() for field in schema.struct.fields}
        if not self._row_filter.is_by_org or column.lower() not in names:
            return ""
        ids = ", ".join(literal(org) for org in self._row_filter.org_ids)
        return f"CAST({quoted(column)} AS STRING) IN ({ids})"

    def _by_mark(self, schema: DataType, condition: str | None) -> str:
        is_marked = any(
            field.name.lower() == DELETED and field.data_type.WhichOneof("kind") == "boolean"
            for field in schema.struct.fields
        )
        return condition or "" if is_marked else ""


def in_parentheses(query: str) -> str:
    """The query as a part of one, so that it cannot be anything else."""
    return f"{BEFORE}{query}\n)"


def quoted(*parts: str) -> str:
    """A name as Spark reads it literally."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def literal(value: str) -> str:
    """A string that Spark reads literally: its bytes in hexadecimal, so nothing is escaped."""
    return f"CAST(X'{value.encode().hex()}' AS STRING)"
