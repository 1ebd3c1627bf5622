"""Rows that a source marks as deleted stay out of what Trino and Spark are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from queryrun.engines.base import RowFilter
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import SparkEndpoint
from queryrun.engines.spark.proto import DataType
from queryrun.engines.spark.tables import Tables
from queryrun.engines.spark.trino_dialect import translated
from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.name_scope import NameScope
from queryrun.engines.trino.statement import BARRIER, prepare
from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.guard.restrict import RowRules
from queryrun.sql.trino.records import ast

Sent = Callable[[str, RowFilter], str]
EXCLUDED = RowFilter("exclude", marks_deleted=True)
ONLY = RowFilter("only", marks_deleted=True)
ALL = [RowFilter("include", marks_deleted=True), RowFilter("exclude", marks_deleted=False),
       RowFilter("only", marks_deleted=False)]  # fmt: skip
JOINS = (
    "SELECT a.id FROM account a JOIN plain p ON a.id = p.id WHERE a.id IN (SELECT id FROM account)"
)


def _schema(mark: str) -> DataType:
    found = DataType()
    found.struct.fields.add(name="id").data_type.long.SetInParent()
    if mark:
        getattr(found.struct.fields.add(name="Deleted").data_type, mark).SetInParent()
    return found


SCHEMAS = {"account": _schema("boolean"), "plain": _schema(""), "odd": _schema("string")}


class Client:
    """Knows the tables' columns, and keeps the commands that it is given."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def schema(self, statement: str) -> DataType:
        """Of `SELECT * FROM` a table's whole name."""
        return SCHEMAS[statement.rpartition(".")[2].strip("`")]

    def command(self, statement: str, _tag: str) -> None:
        """Nothing is done."""
        self.commands.append(statement)


def _tables(client: Client, row_filter: RowFilter) -> Tables:
    endpoint = SparkEndpoint("localhost:1", False, "u", "spark_catalog", "own")
    return Tables(cast("SparkClient", client), endpoint, row_filter, "tag")


def views(statement: str, row_filter: RowFilter) -> list[str]:
    """The views that a statement of Spark's own gets before its tables."""
    client = Client()
    _tables(client, row_filter).offer_for(statement)
    return client.commands


def to_spark(statement: str, row_filter: RowFilter) -> str:
    """What Spark is sent for a statement in Trino's dialect."""
    return translated(statement, _tables(Client(), row_filter), row_filter, "UTC")


def to_trino(statement: str, row_filter: RowFilter) -> str:
    """What Trino is sent, with the rules that its session makes of the filter."""

    def columns(tables: Sequence[ast.Table]) -> list[dict[str, str]]:
        kinds = {"account": {"deleted": "boolean"}, "odd": {"deleted": "varchar"}}
        return [{"id": "bigint", **kinds.get(table.parts[-1].key, {})} for table in tables]

    rules = RowRules(
        row_filter.deleted_rows_of_source, row_filter.org_column, row_filter.org_ids, BARRIER
    )
    endpoint = TrinoEndpoint("http://localhost:8080", catalog="sales", schema="own")
    return prepare(statement, rules, NameScope(endpoint), columns).text


@pytest.mark.parametrize("sent", [to_trino, to_spark])
def test_each_reading_of_a_marked_table_is_restricted(sent: Sent) -> None:
    hidden = sent(JOINS, EXCLUDED).lower()
    assert hidden.count("coalesce(") == hidden.count("not coalesce(") == 2
    only = sent(JOINS, ONLY).lower()
    assert (only.count("coalesce("), only.count("not coalesce(")) == (2, 0)


@pytest.mark.parametrize("sent", [to_trino, to_spark])
@pytest.mark.parametrize("name", ["own.account", '"ACCOUNT"'])
def test_no_spelling_of_a_name_leads_past_the_restriction(sent: Sent, name: str) -> None:
    assert "coalesce(" in sent(f"SELECT id FROM {name}", EXCLUDED).lower()


@pytest.mark.parametrize("sent", [to_trino, to_spark])
@pytest.mark.parametrize("row_filter", ALL)
def test_a_source_without_marks_and_a_run_of_all_rows_restrict_nothing(
    sent: Sent, row_filter: RowFilter
) -> None:
    assert "coalesce(" not in sent(JOINS, row_filter).lower()


@pytest.mark.parametrize("sent", [to_trino, to_spark])
@pytest.mark.parametrize("table", ["plain", "odd"])
def test_a_table_without_a_boolean_mark_is_left_as_it_is(sent: Sent, table: str) -> None:
    assert "coalesce(" not in sent(f"SELECT id FROM {table}", EXCLUDED).lower()


def test_sparks_own_statements_read_a_view_before_each_marked_table() -> None:
    start = (
        "CREATE TEMPORARY VIEW `account` AS SELECT * FROM `spark_catalog`.`own`.`account` WHERE "
    )
    assert views(JOINS, EXCLUDED) == [start + "NOT coalesce(deleted, false)"]
    assert views(JOINS, ONLY) == [start + "coalesce(deleted, false)"]
    assert [views(JOINS, row_filter) for row_filter in ALL] == [[], [], []]
    assert views("SELECT id, deleted FROM account", EXCLUDED) == []


@pytest.mark.parametrize("table", ["own.account", "spark_catalog.own.Account", "`own`.`account`"])
@pytest.mark.parametrize("row_filter", [EXCLUDED, ONLY])
def test_a_name_with_its_schema_is_refused_where_it_leads_past_the_view(
    table: str, row_filter: RowFilter
) -> None:
    for statement in (
        f"SELECT id FROM {table}",
        f"SELECT 1 FROM own.plain JOIN {table} USING (id)",
    ):
        with pytest.raises(RunFailed) as failed:
            views(statement, row_filter)
        assert failed.value.failure.code is FailureCode.NOT_ALLOWED
        assert "'account' without its schema" in failed.value.failure.message
    assert views(f"SELECT id, deleted FROM {table}", row_filter) == []
    assert views(f"SELECT id FROM {table}", ALL[0]) == []
    assert views("SELECT id FROM own.plain", row_filter) == []
