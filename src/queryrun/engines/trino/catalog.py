"""The tables of a source on Trino: the same that its statements see."""

from __future__ import annotations

from collections.abc import Mapping

from trino.exceptions import TrinoQueryError

from queryrun.engines.base import ColumnInfo, TableFacts
from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.failures import failure_of
from queryrun.engines.trino.query import Query, QueryRequest
from queryrun.errors import RunFailed
from queryrun.sql.trino.spelling import name as quoted

_NAME = "queryrun"
_MISSING = "TABLE_NOT_FOUND"


def open_catalog(options: Mapping[str, str], secret: str | None = None) -> TrinoCatalog:
    """The tables of one schema. `options`: see `TrinoEndpoint.of`. Sends nothing yet."""
    return TrinoCatalog(TrinoEndpoint.of(options, secret))


class TrinoCatalog:
    """Asks Trino by its metadata statements (`base.Catalog`); each is a query of its own."""

    def __init__(self, endpoint: TrinoEndpoint) -> None:
        self._endpoint = endpoint

    def tables(self) -> list[str]:
        """Tables and views."""
        return sorted(table for (table,) in self._query_rows("SHOW TABLES"))

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """As SHOW COLUMNS has them."""
        try:
            rows = self._query_rows(f"SHOW COLUMNS FROM {quoted(name)}")
        except RunFailed as failed:
            if _is_missing(failed.__cause__):
                return None
            raise
        return [ColumnInfo(*row) for row in rows]

    def facts(self, name: str) -> TableFacts:  # noqa: ARG002 - the engine's own affair
        """Nothing: the engine keeps its data itself."""
        return TableFacts()

    def close(self) -> None:
        """Nothing is kept between questions."""

    def _query_rows(self, text: str) -> list[list[str]]:
        """Without spooling: metadata is small, and a spooled segment costs another request."""
        query = Query(self._endpoint, QueryRequest(text, _NAME, "UTC", encodings=()))
        try:
            query.start()
            return [[cell or "" for cell in row] for page in query.pages() for row in page]
        except Exception as error:
            failure = failure_of(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            query.end()


def _is_missing(error: BaseException | None) -> bool:
    return isinstance(error, TrinoQueryError) and error.error_name == _MISSING
