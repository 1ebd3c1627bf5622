"""Tables as JSON: whose, of which source, and what is not there."""

from __future__ import annotations

import pytest

from queryrun.auth.model import Scope
from queryrun.engines.base import ColumnInfo
from queryrun.services.catalog.frames import TableShape
from tests.http.house import ACME, GLOBEX, House
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio
ACCOUNT = TableShape("account", (ColumnInfo("id", "varchar"), ColumnInfo("n", "bigint")))
BROKEN = TableShape("broken", None)


@pytest.fixture(autouse=True)
def two_tables(house: House) -> None:
    house.tables.known[("live", ACME.id)] = (ACCOUNT, BROKEN)


async def test_a_list_has_every_table_with_its_columns(house: House) -> None:
    answer = await house.call("GET", "/v2/tables")
    assert answer.status_code == 200
    column = {"name": "id", "type": "varchar", "extra": "", "comment": ""}
    account, broken = answer.json()["data"]
    assert (account["name"], account["columns"][0]) == ("account", column)
    assert broken == {"name": "broken", "columns": None}


async def test_a_table_is_found_in_any_case(house: House) -> None:
    body = (await house.call("GET", "/v2/tables/ACCOUNT")).json()
    assert [column["name"] for column in body["columns"]] == ["id", "n"]


async def test_another_entity_has_its_own_tables(house: House) -> None:
    token = await house.new_token(GLOBEX)
    assert (await house.call("GET", "/v2/tables", token=token)).json() == {"data": []}
    answer = await house.call("GET", "/v2/tables/account", token=token)
    assert_problem(answer, 404, "name", code="resource_not_found")


async def test_another_source_has_its_own_tables(house: House) -> None:
    answer = await house.call("GET", "/v2/tables", params={"source": "warehouse"})
    assert answer.json() == {"data": []}


@pytest.mark.parametrize("path", ["/v2/tables", "/v2/tables/account"])
async def test_an_unknown_source_is_refused(house: House, path: str) -> None:
    answer = await house.call("GET", path, params={"source": "nowhere"})
    assert_problem(answer, 400, "source")


async def test_a_name_that_is_nearly_right_is_guessed(house: House) -> None:
    answer = await house.call("GET", "/v2/tables/acount")
    assert_problem(answer, 404, "name", code="resource_not_found")
    assert "did you mean 'account'?" in answer.json()["errors"][0]["message"]


async def test_a_source_that_cannot_say_is_unavailable(house: House) -> None:
    house.tables.away = True
    assert_problem(await house.call("GET", "/v2/tables"), 503)


@pytest.mark.parametrize("path", ["/v2/tables", "/v2/tables/account"])
async def test_the_scope_of_reading_runs_is_needed(house: House, path: str) -> None:
    token = await house.new_token(scopes=frozenset({Scope.SUBMIT}))
    assert (await house.call("GET", path, token=token)).status_code == 403
    assert (await house.call("GET", path, token="")).status_code == 401
