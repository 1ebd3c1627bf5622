"""Orgs: a row-level subdivision of an entity (contract C10), on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx2 as httpx
import pytest

from queryrun.cli.clients import NewClient, create
from queryrun.cli.home import init_home
from tests.e2e.conftest import ServerHarness

ROWS = "(SELECT * FROM (VALUES (1, 'north'), (2, 'south'), (3, 'south'), (4, NULL)) t(id, org))"


@pytest.fixture(scope="module", params=["files", "database"])
def harness(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerHarness]:
    """The same tables as Parquet files and in a DuckDB file, served; `plain` has no org column."""
    root = tmp_path_factory.mktemp("orgs")
    made = ServerHarness(init_home(root / "home", entity="main", factor=None), root / "log")
    settings = {"QUERYRUN_SOURCES__LIVE__ORG_COLUMN": "org"}
    if request.param == "files":
        _write_files(made.made.data_dir)
    else:
        settings |= {"QUERYRUN_SOURCES__LIVE__DATA": "data/{entity}/d.duckdb"}
        with duckdb.connect(str(made.made.data_dir / "d.duckdb")) as connection:
            connection.execute(f"CREATE TABLE account AS {ROWS}")
            connection.execute("CREATE TABLE plain AS SELECT 1 AS id")
    made.serve(settings)
    yield made
    made.close()


def _write_files(directory: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY {ROWS} TO '{directory / 'account.parquet'}'")
        connection.execute(f"COPY (SELECT 1 AS id) TO '{directory / 'plain.parquet'}'")


def ids(http: httpx.Client, sql: str, **headers: str) -> list[str]:
    """The first column of the result, as text."""
    body = {"sql": sql, "content_type": "csv"}
    headers |= {"prefer": "wait=20"}
    run = http.post("/v2/query_runs", json=body, headers=headers).json()
    assert run["state"] == "complete", run
    return httpx.get(run["file"]["url"]).text.split()[1:]


def test_a_client_with_orgs_sees_only_their_rows(harness: ServerHarness) -> None:
    issued = create(harness.made.home, NewClient(["main"], orgs=["south", "west"]))
    (server,) = harness.servers
    with harness.as_client(server, issued) as http:
        assert ids(http, "SELECT id FROM account ORDER BY id") == ["2", "3"]
        assert ids(http, "WITH a AS (SELECT * FROM Account) SELECT id FROM a ORDER BY 1") == [
            "2",
            "3",
        ]
        assert ids(http, "SELECT id FROM plain") == ["1"]


def test_the_header_can_narrow_the_orgs_but_not_widen_them(harness: ServerHarness) -> None:
    issued = create(harness.made.home, NewClient(["main"], orgs=["north", "south"]))
    (server,) = harness.servers
    with harness.as_client(server, issued) as http:
        narrowed = {"zuora-org-ids": "north"}
        assert ids(http, "SELECT id FROM account ORDER BY id", **narrowed) == ["1"]
        body = {"sql": "SELECT 1", "content_type": "csv"}
        response = http.post("/v2/query_runs", json=body, headers={"zuora-org-ids": "north,east"})
        assert response.status_code == 400
        assert response.json()["errors"][0]["parameter"] == "zuora-org-ids"


def test_a_client_without_orgs_sees_every_row(harness: ServerHarness) -> None:
    (server,) = harness.servers
    assert ids(server.http, "SELECT id FROM account ORDER BY id") == ["1", "2", "3", "4"]


def test_a_qualified_table_name_does_not_bypass_the_orgs(harness: ServerHarness) -> None:
    issued = create(harness.made.home, NewClient(["main"], orgs=["south"]))
    (server,) = harness.servers
    with harness.as_client(server, issued) as http:
        for name in ("main.account", "data.account", "data.main.account", '"data"."main".account'):
            body = {"sql": f"SELECT * FROM {name}", "content_type": "csv"}
            response = http.post("/v2/query_runs", json=body, headers={"prefer": "wait=20"})
            refused = response.status_code == 400 or response.json()["state"] == "failed"
            assert refused, response.text
