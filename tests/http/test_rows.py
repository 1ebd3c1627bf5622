"""The preview of a result: who may see which rows, and who gets a 404."""

from __future__ import annotations

import io

import pyarrow
import pyrage
import pytest

from tests.http.app_harness import GLOBEX, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio
DATA = b"a,b\n" + b"".join(b"%d,\n" % i for i in range(250))


async def complete(
    harness: AppHarness, data: bytes = DATA, suffix: str = ".csv", **body: str
) -> str:
    """The path of a complete run's rows."""
    run = await harness.create(**body)
    await harness.complete(run["id"], data, suffix)
    return f"/v2/query_runs/{run['id']}/rows"


async def test_the_first_hundred_rows_are_returned_by_default(harness: AppHarness) -> None:
    body = (await harness.call("GET", await complete(harness))).json()
    assert body["columns"] == ["a", "b"]
    assert body["rows"] == [[str(i), None] for i in range(100)]
    assert (body["offset"], body["number_of_rows"], body["more"]) == (0, 250, True)


async def test_offset_and_limit_choose_rows(harness: AppHarness) -> None:
    path = await complete(harness)
    body = (await harness.call("GET", path, params={"offset": "248", "limit": "5"})).json()
    assert (body["rows"], body["more"]) == ([["248", None], ["249", None]], False)


async def test_json_rows_are_values(harness: AppHarness) -> None:
    path = await complete(harness, b'{"a":1,"b":[null]}\n', ".json", content_type="json")
    assert (await harness.call("GET", path)).json()["rows"] == [[1, [None]]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "1001"), ("limit", "-1"), ("limit", "x"), ("offset", "1e3"), ("offset", "9" * 30)],
)
async def test_numbers_out_of_bounds_are_refused(
    harness: AppHarness, name: str, value: str
) -> None:
    response = await harness.call("GET", await complete(harness), params={name: value})
    assert_problem(response, 400, name)


async def test_a_run_that_is_not_complete_has_no_rows(harness: AppHarness) -> None:
    run = await harness.create()
    response = await harness.call("GET", f"/v2/query_runs/{run['id']}/rows")
    assert_problem(response, 404, "rows", code="resource_not_found")


async def test_rows_of_a_binary_format_are_values(harness: AppHarness) -> None:
    sink = io.BytesIO()
    table = pyarrow.table({"a": [1, 2], "b": [[None], []]})
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    path = await complete(harness, sink.getvalue(), ".arrow", content_type="arrow")
    body = (await harness.call("GET", path)).json()
    assert (body["columns"], body["rows"]) == (["a", "b"], [[1, [None]], [2, []]])


async def test_rows_of_a_broken_binary_file_are_refused_and_the_node_survives(
    harness: AppHarness,
) -> None:
    path = await complete(
        harness, b"PAR1" + bytes(1000) + b"PAR1", ".parquet", content_type="parquet"
    )
    assert_problem(await harness.call("GET", path), 400, "offset")


async def test_an_encrypted_result_has_no_rows_to_show(harness: AppHarness) -> None:
    key = str(pyrage.x25519.Identity.generate().to_public())
    path = await complete(harness, b"age-encryption.org/v1", ".csv.enc", encryption_key=key)
    assert_problem(await harness.call("GET", path), 404, "rows", code="resource_not_found")


async def test_a_strangers_run_does_not_exist(harness: AppHarness) -> None:
    path = await complete(harness)
    response = await harness.call("GET", path, token=await harness.new_token(GLOBEX))
    assert response.status_code == 404


async def test_a_file_past_its_retention_is_gone(harness: AppHarness) -> None:
    path = await complete(harness)
    harness.results.files.clear()
    response = await harness.call("GET", path)
    assert response.status_code == 404


async def test_an_unavailable_store_is_reported(harness: AppHarness) -> None:
    path = await complete(harness)
    harness.results.away = True
    assert (await harness.call("GET", path)).status_code == 503
