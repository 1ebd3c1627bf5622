"""`POST /v2/query_runs?dry_run=true`: what a run would read, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from queryrun.auth.model import Scope
from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import Certainty, StatementEstimate, TableEstimate
from queryrun.errors import Failure, FailureCode, RunFailed, Unavailable
from queryrun.http.app import build_app
from queryrun.sql.parameters import Parameter
from tests.http.app_harness import ACME, PUBLIC_URL, SELECT, AppHarness

pytestmark = pytest.mark.anyio

DRY = "/v2/query_runs?dry_run=true"


class KnownEstimates:
    """Says what a test has put in, and what it was asked for."""

    def __init__(self) -> None:
        self.found: StatementEstimate | None = None
        self.error: Exception | None = None
        self.requests: list[tuple[str, str, str, RowFilter]] = []

    async def estimate(
        self,
        source: str,
        entity_id: str,
        sql: str,
        row_filter: RowFilter,
        parameters: tuple[Parameter, ...] = (),
    ) -> StatementEstimate | None:
        """What the test says."""
        self.requests.append((source, entity_id, sql, row_filter))
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
async def estimates(harness: AppHarness) -> KnownEstimates:
    """The harness's app with known estimates."""
    known = KnownEstimates()
    app = replace(harness.app, estimates=known)
    transport = httpx2.ASGITransport(app=build_app(app), client=("192.0.2.1", 1234))
    harness.http = httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL)
    return known


async def estimated(harness: AppHarness, path: str = DRY, **more: Any) -> httpx2.Response:
    """A dry run of `SELECT`."""
    return await harness.call("POST", path, json={**SELECT, **more})


async def test_a_dry_run_says_what_would_be_read_and_creates_nothing(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    one = TableEstimate("a", ("id",), 1, 2, None, None, 10, 400, Certainty.EXACT)
    other = replace(one, name="b", certainty=Certainty.UPPER_BOUND)
    estimates.found = StatementEstimate((("one", "integer"),), (one, other))
    response = await estimated(harness)
    assert response.status_code == 200
    body = response.json()
    assert (body["valid"], body["error"]) == (True, None)
    assert body["columns"] == [{"name": "one", "type": "integer"}]
    assert (body["bytes_read"], body["rows_read"], body["certainty"]) == (800, 20, "upper_bound")
    assert [table["name"] for table in body["tables"]] == ["a", "b"]
    assert (body["tables"][0]["files"], body["tables"][0]["all_files"]) == (1, 2)
    assert (await harness.call("GET", "/v2/query_runs")).json()["data"] == []
    (request,) = estimates.requests
    assert request[:3] == ("live", ACME.id, SELECT["sql"])


async def test_one_unknown_table_makes_the_sum_unknown(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    one = TableEstimate("a", ("id",), 1, 2, None, None, 10, 400, Certainty.EXACT)
    estimates.found = StatementEstimate((), (one, TableEstimate("b")))
    body = (await estimated(harness)).json()
    assert (body["bytes_read"], body["certainty"]) == (None, "unknown")


async def test_an_engine_that_does_not_say_is_unknown(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    body = (await estimated(harness)).json()
    assert (body["valid"], body["bytes_read"], body["certainty"]) == (True, None, "unknown")
    assert body["tables"] is None


async def test_how_the_run_would_fail_is_in_the_response(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    failure = Failure(FailureCode.NAME_NOT_FOUND, "Table 'a' does not exist", 1, 15)
    estimates.error = RunFailed(failure)
    body = (await estimated(harness)).json()
    assert not body["valid"]
    assert body["error"] == {
        "code": "name_not_found",
        "message": "Table 'a' does not exist",
        "line": 1,
        "column": 15,
    }


async def test_a_source_that_is_away_is_a_503(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    for error in (
        Unavailable("too slow"),
        RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, "Trino does not respond"),
    ):
        estimates.error = error
        response = await estimated(harness)
        assert response.status_code == 503
        assert response.json()["errors"][0]["code"] == "service_unavailable"


async def test_what_a_submit_refuses_a_dry_run_refuses(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    for name, value in {"sql": "DELETE FROM a", "source": "none", "content_type": "doc"}.items():
        response = await estimated(harness, **{name: value})
        assert response.status_code == 400
        assert response.json()["errors"][0]["parameter"] == name
    assert estimates.requests == []


async def test_any_other_word_than_true_and_false_creates_nothing(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    response = await estimated(harness, "/v2/query_runs?dry_run=yes")
    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "dry_run"
    assert (await estimated(harness, "/v2/query_runs?dry_run=false")).status_code == 201


async def test_a_dry_run_uses_up_no_idempotency_key(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    key = {"idempotency-key": "one"}
    for path, status in ((DRY, 200), ("/v2/query_runs", 201), (DRY, 200)):
        response = await harness.call("POST", path, json=SELECT, headers=key)
        assert response.status_code == status


async def test_an_invalid_idempotency_key_is_a_400_here_too(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    response = await harness.call("POST", DRY, json=SELECT, headers={"idempotency-key": "k" * 256})
    assert response.status_code == 400


async def test_deleted_rows_and_orgs_are_estimated_as_they_would_be_read(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    token = await harness.new_token(org_ids=("emea", "apac"))
    body = {**SELECT, "read_deleted": True}
    headers = {"zuora-org-ids": "emea"}
    await harness.call("POST", DRY, token=token, json=body, headers=headers)
    row_filter = estimates.requests[0][3]
    assert (row_filter.deleted_rows, row_filter.org_ids) == ("include", ("emea",))


async def test_who_may_not_submit_may_not_ask(
    harness: AppHarness, estimates: KnownEstimates
) -> None:
    token = await harness.new_token(scopes=frozenset({Scope.READ}))
    response = await harness.call("POST", DRY, token=token, json=SELECT)
    assert response.status_code == 403
