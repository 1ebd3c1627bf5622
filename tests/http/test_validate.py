"""`POST /v2/validate` and `GET /v2/options`: what can be known before a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from queryrun.engines.base import ColumnInfo
from queryrun.services.catalog.frames import TableShape
from tests.conftest import Clock
from tests.http.app_harness import ACME, GLOBEX, AppHarness, open_app_harness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

VALIDATE = "/v2/validate"
ACCOUNT = TableShape("account", (ColumnInfo("id", "bigint"), ColumnInfo("name", "varchar")))


@pytest.fixture
async def trino(harness: AppHarness) -> AppHarness:
    """A service whose default source takes Trino's SQL and has one table."""
    policies = {
        name: replace(one, dialect="trino") for name, one in harness.app.runs.sources.items()
    }
    object.__setattr__(harness.app.runs, "sources", policies)
    harness.tables.known[("live", ACME.id)] = (ACCOUNT,)
    return harness


async def check(harness: AppHarness, sql: str, **more: object) -> httpx2.Response:
    """A check of this statement."""
    return await harness.call("POST", VALIDATE, json={"sql": sql, **more})


@pytest.mark.parametrize(
    ("sql", "line", "column", "word"),
    [
        ("SELECT id\nFROM acount", 2, 6, "Did you mean 'account'"),
        ("SELECT nam FROM account", 1, 8, "Did you mean 'name'"),
        ("SELECT id + name FROM account", 1, 11, "bigint + varchar"),
        ("SELECT id FROM", 1, 15, "end of the statement"),
        ("DELETE FROM account", 1, 1, "only SELECT"),
    ],
)
async def test_errors_have_their_place(
    trino: AppHarness, sql: str, line: int, column: int, word: str
) -> None:
    body = (await check(trino, sql)).json()
    assert not body["valid"]
    (error,) = body["errors"]
    assert (error["line"], error["column"]) == (line, column)
    assert word in error["message"]


async def test_a_statement_that_compiles_tells_its_columns(trino: AppHarness) -> None:
    body = (
        await check(trino, "SELECT id, upper(name) AS n, count(*) FROM account GROUP BY 1, 2")
    ).json()
    assert body == {
        "valid": True,
        "errors": [],
        "columns": [
            {"name": "id", "type": "bigint"},
            {"name": "n", "type": "varchar"},
            {"name": "_col2", "type": "bigint"},
        ],
    }


async def test_a_check_makes_no_run(trino: AppHarness) -> None:
    await check(trino, "SELECT id FROM account")
    assert (await trino.call("GET", "/v2/query_runs")).json()["data"] == []


async def test_tables_of_other_entities_are_unknown(trino: AppHarness) -> None:
    token = await trino.new_token(GLOBEX)
    body = {"sql": "SELECT id FROM account"}
    found = await trino.call("POST", VALIDATE, token=token, json=body)
    assert "does not exist" in found.json()["errors"][0]["message"]


async def test_while_tables_cannot_be_listed_only_syntax_is_checked(trino: AppHarness) -> None:
    trino.tables.away = True
    assert (await check(trino, "SELECT nam FROM acount")).json()["valid"]
    assert not (await check(trino, "SELECT FROM")).json()["valid"]


async def test_on_a_remote_engine_only_syntax_is_checked(trino: AppHarness) -> None:
    policies = {
        name: replace(one, is_embedded=False) for name, one in trino.app.runs.sources.items()
    }
    object.__setattr__(trino.app.runs, "sources", policies)
    body = (await check(trino, "SELECT nam FROM acount")).json()
    assert body == {"valid": True, "errors": [], "columns": None}


async def test_a_column_of_a_foreign_type_is_left_to_the_engine(trino: AppHarness) -> None:
    odd = TableShape("odd", (ColumnInfo("o", "uhugeint"),))
    trino.tables.known[("live", ACME.id)] = (odd,)
    assert (await check(trino, "SELECT o FROM odd")).json()["valid"]


async def test_a_table_that_cannot_be_read_hides_no_error_of_others(trino: AppHarness) -> None:
    trino.tables.known[("live", ACME.id)] = (ACCOUNT, TableShape("broken", None, problem="?"))
    assert (await check(trino, "SELECT anything FROM broken")).json()["valid"]
    assert not (await check(trino, "SELECT nam FROM account")).json()["valid"]


async def test_what_is_no_draft_is_refused(trino: AppHarness) -> None:
    bodies: tuple[object, ...] = ({}, {"sql": 1}, {"sql": "SELECT 1", "more": 1}, [])
    for body in bodies:
        assert_problem(await trino.call("POST", VALIDATE, json=body), 400, "body")
    assert_problem(await check(trino, "SELECT 1", source="none"), 400, "source")
    assert_problem(await check(trino, "x" * 1_000_001), 400, "sql")


async def test_a_check_needs_a_token_and_counts_as_a_request(tmp_path: Path, clock: Clock) -> None:
    async with open_app_harness(tmp_path, clock) as harness:
        anonymous = await harness.call("POST", VALIDATE, token="", json={"sql": "SELECT 1"})
        assert anonymous.status_code == 401


async def test_the_options_are_what_a_run_may_name(harness: AppHarness) -> None:
    body = (await harness.call("GET", "/v2/options")).json()
    defaults = [one["name"] for one in body["sources"] if one["is_default"]]
    assert defaults == ["live"]
    for one in body["content_types"]:
        separator = {"column_separator": ";"} if one["needs_separator"] else {}
        await harness.create(content_type=one["name"], source=defaults[0], **separator)
    assert "gzip" in body["content_encodings"]
