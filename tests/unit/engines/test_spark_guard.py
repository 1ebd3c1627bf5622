"""In Spark's own SQL nothing is sent but one query over the source's own tables, or a question."""

from __future__ import annotations

import logging

import pytest

from queryrun.engines.spark.endpoint import endpoint_from_options, session_id_of
from queryrun.engines.spark.guard import Reading, UnreadableError, read_native
from queryrun.errors import FailureCode, RunFailed


def read(statement: str) -> Reading:
    """What is made of a statement over the schema `own`."""
    return read_native(statement, "spark_catalog", "own")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "select a.id from Account a join own.other o using (id)",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "VALUES (1, 2), (3, 4)",
        "(SELECT 1) UNION ALL SELECT 2 ORDER BY 1 -- done",
        "FROM account |> WHERE id = 1",
        "SELECT * FROM spark_catalog.own.account",
        "SELECT explode(array(1)) AS x FROM account LATERAL VIEW explode(array(1)) t AS y",
        "SELECT 'DROP TABLE x; reflect' AS text",
    ],
)
def test_a_query_is_accepted(statement: str) -> None:
    assert read(statement).is_query


@pytest.mark.parametrize("statement", ["SHOW TABLES", "show columns in account;", "DESC Account"])
def test_a_metadata_statement_is_accepted(statement: str) -> None:
    assert not read(statement).is_query


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE account",
        "INSERT INTO account VALUES (1)",
        "FROM account INSERT OVERWRITE TABLE b SELECT *",
        "CREATE TABLE x AS SELECT 1",
        "SET x = 1",
        "USE other",
        "CACHE TABLE account",
        "EXPLAIN SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT reflect('java.lang.System', 'exit', 1)",
        "SELECT system.builtin.`Reflect` -- \n /* */ ('a', 'b')",
        "SELECT try_reflect('a', 'b')",
        "SELECT * FROM identifier('other.account')",
        "SELECT TRANSFORM(id) USING 'sh' FROM account",
        "SELECT * FROM other.account",
        "SELECT * FROM elsewhere.own.account",
        "SELECT 1 FROM (SELECT * FROM a JOIN (SELECT * FROM other.b))",
        "SELECT * FROM global_temp.v",
        "SELECT * FROM parquet.`/etc`",
        "SELECT _metadata.file_path FROM account",
        "SELECT input_file_name() FROM account",
        "TABLE account",
        "SHOW SCHEMAS",
        "SHOW TABLES IN other",
        "DESCRIBE EXTENDED account",
        "DESCRIBE other.account",
    ],
)
def test_everything_else_is_refused(statement: str) -> None:
    with pytest.raises(RunFailed) as failed:
        read(statement)
    assert failed.value.failure.code is FailureCode.NOT_ALLOWED


def test_what_cannot_be_parsed_is_left_to_spark() -> None:
    with pytest.raises(UnreadableError):
        read("SELECT FROM WHERE (")


def test_a_reading_has_the_tables_and_columns_named() -> None:
    reading = read("SELECT Deleted FROM Account JOIN own.other")
    assert reading.tables == {"account"}
    assert reading.columns == {"deleted"}
    assert reading.qualified == {"other"}


def test_nothing_of_a_statement_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(RunFailed):
        read("SHOW secret_things")
    assert "secret" not in caplog.text


def test_a_source_that_is_set_up_wrongly_is_refused() -> None:
    for options in ({}, {"url": "http://x"}, {"url": "sc://x", "auth": "token"}):
        with pytest.raises(RunFailed):
            endpoint_from_options(options, None)


def test_a_token_is_only_sent_encrypted_and_is_not_printed() -> None:
    endpoint = endpoint_from_options({"url": "sc://x", "auth": "token"}, "s3cret")
    assert endpoint.is_secure
    assert endpoint.address == "x:15002"
    assert "s3cret" not in repr(endpoint)


def test_a_name_leads_to_its_session_in_every_process() -> None:
    assert session_id_of("queryrun-1-1") == "0b53bfaf-1f35-5070-ac0f-4cd3ca5dc80c"
