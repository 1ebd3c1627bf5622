"""`GET /v2/usage` and `fields[]=usage`: who sees what has been used, and in which form."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from queryrun.auth.model import Scope
from queryrun.auth.tokens import issue_token
from queryrun.runs.usage import AttemptUsage
from tests.http.app_harness import ACME, GLOBEX, SELECT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

USAGE = "/v2/usage"
USED = AttemptUsage(1200, 4096, read_bytes=500, read_rows=5, spilled_bytes=0)
FIGURES = (
    *("attempts", "attempts_not_counted", "cpu_ms", "wall_ms", "read_bytes", "read_rows"),
    *("spilled_bytes", "written_bytes", "downloads", "downloaded_bytes"),
)
HIDDEN = ("cpu_ms", "peak_memory_bytes", "read_bytes", "read_rows", "spilled_bytes")
ADMIN = frozenset({Scope.ADMIN})
TENANT_ADMIN = frozenset({Scope.TENANT_ADMIN})


async def completed(harness: AppHarness, token: str | None = None, **body: object) -> str:
    """The id of a complete run that has used something."""
    sent = {**SELECT, **body}
    response = await harness.call("POST", "/v2/query_runs", json=sent, token=token)
    run_id = str(response.json()["id"])
    await harness.complete(run_id, usage=USED)
    return run_id


async def report(
    harness: AppHarness, *params: tuple[str, str], token: str | None = None
) -> dict[str, Any]:
    """One page of the report."""
    response = await harness.call("GET", USAGE, params=list(params), token=token)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def next_day(harness: AppHarness) -> None:
    """A day passes, and the client gets a new token."""
    harness.clock.move(24 * 3600)
    auth = harness.database.auth
    issued = await issue_token(auth, harness.client_id, harness.secret, harness.clock)
    harness.token = issued.token


async def test_the_report_is_the_sum_of_what_the_runs_say(harness: AppHarness) -> None:
    runs = [await completed(harness) for _ in range(3)]
    read = [
        (await harness.call("GET", f"/v2/query_runs/{run_id}?fields[]=usage")).json()["usage"]
        for run_id in runs
    ]
    [row] = (await report(harness))["data"]
    assert row["runs"] == {"complete": 3, "failed": 0, "canceled": 0}
    assert {name: row[name] for name in FIGURES} == {
        name: sum(one[name] for one in read) for name in FIGURES
    }
    assert row["attempts_by_cause"] == [{"outcome": "complete", "cause": "complete", "count": 3}]
    assert (row["cpu_ms"], row["peak_memory_bytes"]) == (3600, 4096)


async def test_a_run_shows_its_usage_only_when_asked_and_only_to_readers(
    harness: AppHarness,
) -> None:
    run_id = await completed(harness)
    path = f"/v2/query_runs/{run_id}"
    assert "usage" not in (await harness.call("GET", path)).json()
    submitter = await harness.new_token(scopes=frozenset({Scope.SUBMIT, Scope.CANCEL}))
    created = await harness.call(
        "POST", "/v2/query_runs?fields[]=usage,id", json=SELECT, token=submitter
    )
    assert created.status_code == 201
    assert "usage" not in created.json()
    assert (await harness.call("GET", USAGE, token=submitter)).status_code == 403


async def test_downloads_are_counted_with_the_bytes_that_were_sent(harness: AppHarness) -> None:
    run_id = await completed(harness)
    url = (await harness.call("GET", f"/v2/query_runs/{run_id}")).json()["file"]["url"]
    whole = await harness.http.get(url)
    part = await harness.http.get(url, headers={"range": "bytes=0-1"})
    assert (await harness.http.head(url)).status_code == 200
    [row] = (await report(harness))["data"]
    assert row["downloads"] == 2
    assert row["downloaded_bytes"] == len(whole.content) + len(part.content)


async def test_a_client_sees_its_own_an_admin_its_entity_a_tenant_admin_the_tenant(
    harness: AppHarness,
) -> None:
    other, globex = await harness.new_token(ACME), await harness.new_token(GLOBEX)
    for token in (None, other, globex):
        await completed(harness, token)
    for token, runs in (
        (harness.token, 1),
        (await harness.new_token(ACME, scopes=ADMIN), 2),
        (await harness.new_token(ACME, scopes=TENANT_ADMIN), 3),
    ):
        [row] = (await report(harness, token=token))["data"]
        assert row["runs"]["complete"] == runs
        rows = (await report(harness, ("entity_id", GLOBEX.id), token=token))["data"]
        assert sum(row["attempts"] for row in rows) == (1 if runs == 3 else 0)
    rows = (await report(harness, ("client_id", "someone"), token=other))["data"]
    assert rows == []


async def test_rows_are_grouped_and_paged_in_order(harness: AppHarness) -> None:
    for tags in ({"team": "red"}, {"team": "blue"}, {}):
        await completed(harness, tags=tags)
        await next_day(harness)
    params = [("group_by[]", "day,tag:team"), ("page_size", "2")]
    first = await report(harness, *params)
    rest = await report(harness, *params, ("cursor", first["next_page"]))
    rows = [*first["data"], *rest["data"]]
    assert [row["tag"] for row in rows] == ["red", "blue", ""]
    assert rest["next_page"] is None
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)
    assert "entity_id" not in rows[0]
    other = await harness.call(
        "GET", USAGE, params=[("group_by[]", "day"), ("cursor", first["next_page"])]
    )
    assert_problem(other, 400, "cursor")


async def test_csv_has_the_same_rows_and_links_to_the_next_page(harness: AppHarness) -> None:
    for team in ("=1+1", "blue"):
        await completed(harness, tags={"team": team})
    path, rows = f"{USAGE}?group_by[]=tag:team&format=csv&page_size=1", []
    while path:
        response = await harness.call("GET", path)
        assert response.headers["content-type"].startswith("text/csv")
        rows += list(csv.DictReader(io.StringIO(response.text)))
        link = response.headers.get("link", "")
        path = link.partition(">")[0].removeprefix("<")
    assert [row["tag"] for row in rows] == ["'=1+1", "blue"]
    assert [row["attempts_complete"] for row in rows] == ["1", "1"]
    assert [row["cpu_ms"] for row in rows] == ["1200", "1200"]


HOSTILE = (
    *("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1"),
    *('a\r=HYPERLINK("x")', "a\n=1", 'a","=1', "a\r\n=1", '"', ",", "'=1", "a\u2028=1", "\u202e=1"),
)


async def test_a_tag_in_csv_is_one_cell_and_no_formula_for_any_reader(harness: AppHarness) -> None:
    for tag in HOSTILE:
        await completed(harness, tags={"team": tag})
    response = await harness.call("GET", f"{USAGE}?group_by[]=tag:team&format=csv&page_size=99")
    strict = csv.reader(io.StringIO(response.text, newline=""), strict=True)
    head, *rows = strict
    assert {len(row) for row in rows} == {len(head)}
    assert {row[0].removeprefix("'") for row in rows} == {tag.removeprefix("'") for tag in HOSTILE}
    assert not [row[0] for row in rows if row[0].startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    outside_quotes = "".join(response.text.split('"')[::2])
    assert "\r" not in outside_quotes
    assert outside_quotes.count("\n") == len(HOSTILE) + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("group_by[]", "team"),
        ("group_by[]", "tag"),
        ("group_by[]", "tag:a,tag:b"),
        ("first_day", "yesterday"),
        ("first_day", "2999-01-01"),
        ("first_day", "2020-01-01"),
        ("page_size", "0"),
        ("format", "xlsx"),
        ("cursor", "AAAA"),
    ],
)
async def test_a_wrong_parameter_is_named(harness: AppHarness, name: str, value: str) -> None:
    response = await harness.call("GET", USAGE, params=[(name, value)])
    assert_problem(response, 400, name)


async def test_a_client_of_orgs_is_told_nothing_that_hidden_rows_have_a_part_in(
    harness: AppHarness,
) -> None:
    token = await harness.new_token(org_ids=("emea",))
    run_id = await completed(harness, token)
    path = f"/v2/query_runs/{run_id}?fields[]=usage"
    of_run = (await harness.call("GET", path, token=token)).json()["usage"]
    row = (await report(harness, token=token))["data"][0]
    for reported in (of_run, row):
        assert {reported[name] for name in HIDDEN} == {0}
        assert reported["attempts_not_counted"] == reported["attempts"] == 1
        assert reported["written_bytes"] > 0
    assert of_run["tables"] == []
    admin = await harness.new_token(scopes=ADMIN)
    assert (await report(harness, token=admin))["data"][0]["cpu_ms"] == USED.cpu_ms


async def test_a_client_whose_orgs_are_narrowed_sees_no_results_from_before(
    harness: AppHarness,
) -> None:
    admin = await harness.new_token(scopes=frozenset({Scope.ADMIN_WRITE}))
    before = await completed(harness)
    change = f"/admin/v1/clients/{harness.client_id}/change"
    runs: dict[str, str] = {}
    for orgs in ("emea apac", "emea"):
        body = {"org_ids": orgs.split()}
        assert (await harness.call("POST", change, token=admin, json=body)).status_code == 200
        runs[orgs] = await completed(harness)
    listed = (await harness.call("GET", "/v2/query_runs")).json()["data"]
    assert [one["id"] for one in listed] == [runs["emea"]]
    for run_id, status in ((before, 404), (runs["emea apac"], 404), (runs["emea"], 200)):
        assert (await harness.call("GET", f"/v2/query_runs/{run_id}")).status_code == status
        cancel = await harness.call("POST", f"/v2/query_runs/{run_id}/cancel")
        assert (cancel.status_code == 404) is (status == 404)
