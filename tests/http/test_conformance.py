"""The contract's sections on requests, row by row: the lists are in `conformance.py` and, for v1,
`conformance_v1.py`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

from queryrun.auth.model import Scope
from queryrun.errors import Failure, FailureCode
from tests.conftest import Clock
from tests.http import contract_schema
from tests.http.app_harness import ACME, FOREIGN, GLOBEX, AppHarness, open_app_harness
from tests.http.conformance import ROWS, V2_SECTIONS, Row
from tests.http.conformance_v1 import V1_ROWS, V1_SECTIONS
from tests.http.fixtures import apply_fixture, settings_of
from tests.http.problem import assert_problem
from tests.http.shapes import SHAPES

pytestmark = pytest.mark.anyio

LONG_SQL = "SELECT 1 AS one -- " + "x" * 2000


@pytest.mark.parametrize("row", [*ROWS, *V1_ROWS], ids=lambda row: row.name)
async def test_the_service_conforms_to_the_contract(tmp_path: Path, clock: Clock, row: Row) -> None:
    """With the production rates and limits, as it is delivered."""
    settings = settings_of(row.fixture)
    async with open_app_harness(tmp_path, clock, settings, queued_per_tenant=10) as harness:
        run_id = await prepared(harness, row.run)
        await apply_fixture(harness, row.fixture)
        response = await send(harness, row, run_id)
    if row.method != "HEAD" and not row.has_extensions:
        assert contract_schema.faults(response) == []
    if row.shape == "problem":
        assert_problem(response, row.status, row.names, code=row.code)
    else:
        assert response.status_code == row.status, response.text
        SHAPES[row.shape](response)
        assert row.names is None or f"'{row.names}'" in response.text
    for name, value in row.response_headers.items():
        if value == "*":
            assert response.headers[name]
        else:
            assert response.headers.get(name) == value


def test_every_section_has_rows() -> None:
    assert {row.section for row in ROWS} == set(V2_SECTIONS)
    assert {row.section for row in V1_ROWS} == set(V1_SECTIONS)


def test_no_two_rows_have_the_same_name() -> None:
    names = [row.name for row in [*ROWS, *V1_ROWS]]
    assert sorted(names) == sorted(set(names))


async def prepared(harness: AppHarness, state: str) -> str:
    """The id of a run in this state; '' for none."""
    if not state:
        return ""
    run = await harness.create(**({"sql": LONG_SQL} if state == "long" else {}))
    run_id = str(run["id"])
    if state in ("complete", "long"):
        await harness.complete(run_id)
    elif state == "failed":
        await harness.fail(run_id, Failure(FailureCode.NAME_NOT_FOUND, "Table x does not exist"))
    elif state == "canceled":
        await harness.call("POST", f"/v2/query_runs/{run_id}/cancel")
    elif state in ("in_progress", "canceling", "freeing"):
        ref = await harness.claim(run_id)
        if state == "freeing":
            harness.free_on_cancel(ref)
        if state == "canceling":
            await harness.call(
                "POST", f"/v2/query_runs/{run_id}/cancel", headers={"prefer": "respond-async"}
            )
    return run_id


async def send(harness: AppHarness, row: Row, run_id: str) -> httpx2.Response:
    """The row's request."""
    content = row.content
    if content is not None:
        pair = {"client_id": harness.client_id, "client_secret": harness.secret}
        content = content.replace(b"{credentials}", urlencode(pair).encode())
    headers = {name.encode(): value.encode() for name, value in row.headers.items()}
    token = await token_of(harness, row.token)
    if token:
        headers.setdefault(b"authorization", f"Bearer {token}".encode())
    return await harness.http.request(
        row.method,
        row.path.replace("{run}", run_id),
        headers=list(headers.items()),
        json=row.json,
        content=content,
        params=list(row.params) if row.params else None,
    )


async def token_of(harness: AppHarness, kind: str) -> str:
    """A token of the kind that a row names."""
    if kind in ("own", "none", "bad"):
        return {"own": harness.token, "none": "", "bad": "qrt_unknown"}[kind]
    if kind == "foreign":
        return await harness.new_token(FOREIGN)
    if kind == "both":
        return await harness.new_token(ACME, GLOBEX)
    scopes = {
        "admin": frozenset({Scope.ADMIN}),
        "reader": frozenset({Scope.READ}),
        "submitter": frozenset({Scope.SUBMIT}),
    }.get(kind)
    if scopes is not None:
        return await harness.new_token(ACME, scopes=scopes)
    return await harness.new_token(ACME, org_ids=("emea", "apac") if kind == "orgs" else ())
