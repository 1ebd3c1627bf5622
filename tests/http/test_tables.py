"""Tables as JSON: whose, of which source, and what is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from queryrun.auth.model import Scope
from queryrun.engines.base import ColumnInfo, TableFacts
from queryrun.runs.source_policy import SourcePolicy
from queryrun.services.catalog.frames import TableShape
from tests.http.app_harness import ACME, GLOBEX, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio
ACCOUNT = TableShape("account", (ColumnInfo("id", "varchar"), ColumnInfo("n", "bigint")))
BROKEN = TableShape("broken", None, problem="Table 'broken' cannot be read: it is empty")


@pytest.fixture(autouse=True)
def two_tables(harness: AppHarness) -> None:
    harness.tables.known[("live", ACME.id)] = (ACCOUNT, BROKEN)


async def test_a_list_has_every_table_with_its_columns(harness: AppHarness) -> None:
    response = await harness.call("GET", "/v2/tables")
    assert response.status_code == 200
    column = {"name": "id", "type": "varchar", "extra": "", "comment": ""}
    account, broken = response.json()["data"]
    assert (account["name"], account["columns"][0]) == ("account", column)
    assert (broken["name"], broken["columns"], broken["warnings"]) == ("broken", None, [])
    assert broken["problem"] == "Table 'broken' cannot be read: it is empty"


async def test_a_table_is_found_in_any_case(harness: AppHarness) -> None:
    body = (await harness.call("GET", "/v2/tables/ACCOUNT")).json()
    assert [column["name"] for column in body["columns"]] == ["id", "n"]


async def test_another_entity_has_its_own_tables(harness: AppHarness) -> None:
    token = await harness.new_token(GLOBEX)
    assert (await harness.call("GET", "/v2/tables", token=token)).json() == {"data": []}
    response = await harness.call("GET", "/v2/tables/account", token=token)
    assert_problem(response, 404, "name", code="resource_not_found")


async def test_another_source_has_its_own_tables(harness: AppHarness) -> None:
    response = await harness.call("GET", "/v2/tables", params={"source": "warehouse"})
    assert response.json() == {"data": []}


@pytest.mark.parametrize("path", ["/v2/tables", "/v2/tables/account"])
async def test_an_unknown_source_is_refused(harness: AppHarness, path: str) -> None:
    response = await harness.call("GET", path, params={"source": "nowhere"})
    assert_problem(response, 400, "source")


@pytest.mark.parametrize("path", ["/v2/tables", "/v2/tables/account"])
async def test_a_client_of_orgs_is_told_nothing_of_hidden_rows(
    harness: AppHarness, path: str
) -> None:
    """A table with the org column, and one that nobody knows the columns of."""
    facts = TableFacts("csv", 3, 4096, 1000, "v1", ("line 7 is passed over",))
    columns = (ColumnInfo("id", "varchar"), ColumnInfo("Org", "varchar"))
    harness.tables.known[("live", ACME.id)] = (
        TableShape("account", columns, facts),
        TableShape("broken", None, facts, "line 9: 'their secret' is no number"),
        TableShape("plain", columns[:1], facts),
    )
    sources = cast("dict[str, SourcePolicy]", harness.app.runs.sources)
    sources["live"] = replace(sources["live"], org_column="org")
    full = (await harness.call("GET", path)).json()
    assert "4096" in str(full)
    token = await harness.new_token(org_ids=("north",))
    body = (await harness.call("GET", path, token=token)).json()
    tables = body.get("data", [body])
    hidden: dict[str, object] = {
        "files": None,
        "size_bytes": None,
        "rows": None,
        "version": None,
        "warnings": [],
    }
    for table in tables:
        if table["name"] != "plain":
            assert {name: table[name] for name in hidden} == hidden
            assert "secret" not in str(table)
        else:
            assert table["rows"] == 1000


async def test_a_misspelled_name_gets_a_suggestion(harness: AppHarness) -> None:
    response = await harness.call("GET", "/v2/tables/acount")
    assert_problem(response, 404, "name", code="resource_not_found")
    assert "did you mean 'account'?" in response.json()["errors"][0]["message"]


async def test_tables_of_an_unavailable_source_are_unavailable(harness: AppHarness) -> None:
    harness.tables.away = True
    assert_problem(await harness.call("GET", "/v2/tables"), 503)


@pytest.mark.parametrize("path", ["/v2/tables", "/v2/tables/account"])
async def test_the_scope_for_reading_runs_is_required(harness: AppHarness, path: str) -> None:
    token = await harness.new_token(scopes=frozenset({Scope.SUBMIT}))
    assert (await harness.call("GET", path, token=token)).status_code == 403
    assert (await harness.call("GET", path, token="")).status_code == 401
