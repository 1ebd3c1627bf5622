"""A schema, and the translation of statements against it."""

from __future__ import annotations

import pytest

from queryrun.errors import Failure, RunFailed
from queryrun.sql.compile import types as t
from queryrun.sql.compile.reading import read
from queryrun.sql.compile.scope import TableColumn
from queryrun.sql.duckdb.translate import Request, translate

SCHEMA = {
    "account": [
        TableColumn("Id", t.BIGINT),
        TableColumn("accountnumber", t.VARCHAR),
        TableColumn("balance", t.decimal(18, 6)),
        TableColumn("createddate", t.timestamp_tz(6)),
        TableColumn("deleted", t.BOOLEAN, marks_deleted=True),
    ],
    "invoice": [
        TableColumn("id", t.BIGINT),
        TableColumn("accountid", t.BIGINT),
        TableColumn("deleted", t.BOOLEAN, marks_deleted=True),
    ],
    "odd": [
        TableColumn("big", t.decimal(38, 0), is_converted=True, engine_type="HUGEINT"),
        TableColumn("bits", None, engine_type="BIT"),
    ],
}


def translated(statement: str, deleted: str = "exclude") -> str:
    """The statement in DuckDB's SQL."""
    return translate(read(statement), SCHEMA, Request("UTC", deleted))[0]


def headings(statement: str) -> list[str]:
    """What the columns of the result are called."""
    return [output.heading for output in translate(read(statement), SCHEMA, Request())[1]]


def failure(statement: str) -> Failure:
    """Why the statement cannot be translated."""
    with pytest.raises(RunFailed) as failed:
        translated(statement)
    return failed.value.failure
