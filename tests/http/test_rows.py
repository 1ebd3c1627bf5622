"""The preview of a result: who may see which rows, and who gets a 404."""

from __future__ import annotations

import io

import pyarrow
import pyrage
import pytest

from tests.http.house import GLOBEX, House
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio
DATA = b"a,b\n" + b"".join(b"%d,\n" % i for i in range(250))


async def complete(house: House, data: bytes = DATA, suffix: str = ".csv", **body: str) -> str:
    """The path of a complete run's rows."""
    run = await house.create(**body)
    await house.complete(run["id"], data, suffix)
    return f"/v2/query_runs/{run['id']}/rows"


async def test_the_first_hundred_rows_come_unless_told_otherwise(house: House) -> None:
    body = (await house.call("GET", await complete(house))).json()
    assert body["columns"] == ["a", "b"]
    assert body["rows"] == [[str(i), None] for i in range(100)]
    assert (body["offset"], body["number_of_rows"], body["more"]) == (0, 250, True)


async def test_offset_and_limit_choose_rows(house: House) -> None:
    path = await complete(house)
    body = (await house.call("GET", path, params={"offset": "248", "limit": "5"})).json()
    assert (body["rows"], body["more"]) == ([["248", None], ["249", None]], False)


async def test_json_rows_are_values(house: House) -> None:
    path = await complete(house, b'{"a":1,"b":[null]}\n', ".json", content_type="json")
    assert (await house.call("GET", path)).json()["rows"] == [[1, [None]]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "1001"), ("limit", "-1"), ("limit", "x"), ("offset", "1e3"), ("offset", "9" * 30)],
)
async def test_numbers_out_of_bounds_are_refused(house: House, name: str, value: str) -> None:
    answer = await house.call("GET", await complete(house), params={name: value})
    assert_problem(answer, 400, name)


async def test_a_run_that_is_not_complete_has_no_rows(house: House) -> None:
    run = await house.create()
    answer = await house.call("GET", f"/v2/query_runs/{run['id']}/rows")
    assert_problem(answer, 404, "rows", code="resource_not_found")


async def test_rows_of_a_binary_format_are_values(house: House) -> None:
    sink = io.BytesIO()
    table = pyarrow.table({"a": [1, 2], "b": [[None], []]})
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    path = await complete(house, sink.getvalue(), ".arrow", content_type="arrow")
    body = (await house.call("GET", path)).json()
    assert (body["columns"], body["rows"]) == (["a", "b"], [[1, [None]], [2, []]])


async def test_rows_of_a_broken_binary_file_are_refused_and_the_node_lives(house: House) -> None:
    path = await complete(
        house, b"PAR1" + bytes(1000) + b"PAR1", ".parquet", content_type="parquet"
    )
    assert_problem(await house.call("GET", path), 400, "offset")


async def test_an_encrypted_result_has_no_rows_to_show(house: House) -> None:
    key = str(pyrage.x25519.Identity.generate().to_public())
    path = await complete(house, b"age-encryption.org/v1", ".csv.enc", encryption_key=key)
    assert_problem(await house.call("GET", path), 404, "rows", code="resource_not_found")


async def test_a_strangers_run_does_not_exist(house: House) -> None:
    path = await complete(house)
    answer = await house.call("GET", path, token=await house.new_token(GLOBEX))
    assert answer.status_code == 404


async def test_a_file_past_its_retention_is_gone(house: House) -> None:
    path = await complete(house)
    house.results.files.clear()
    answer = await house.call("GET", path)
    assert answer.status_code == 404


async def test_a_store_that_is_away_says_so(house: House) -> None:
    path = await complete(house)
    house.results.away = True
    assert (await house.call("GET", path)).status_code == 503
