"""The steps of docs/contributing/add-a-run-field.md make a field that both databases store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.docs.worked_example import copy_with_steps
from tests.e2e.conftest import start_serving
from tests.postgres_server import PostgresServer, postgres_server

__all__ = ["postgres_server"]

PAGE = "docs/contributing/add-a-run-field.md"
STORED_IN_POSTGRESQL = """
import asyncio, sys
from queryrun.db.postgres.database import open_postgres
from queryrun.results.formats import ContentType
from queryrun.runs.model import Output, RunRequest

async def stored(database):
    request = RunRequest("t", "e", "c", "live", "SELECT 1", Output(ContentType.CSV), note="by hand")
    await database.runs.accept(request, run_id="r-1")
    run = await database.runs.get("r-1")
    print(run.request.note)

database = open_postgres(sys.argv[1])
asyncio.run(stored(database))
database.close()
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the steps are applied."""
    return tmp_path_factory.mktemp("copy")


@pytest.fixture(scope="module")
def touched(copy: Path) -> list[str]:
    """The paths that the steps touch, after they have been applied."""
    return copy_with_steps(PAGE, copy)


@pytest.fixture(scope="module")
def environ(touched: list[str], copy: Path) -> dict[str, str]:
    """What makes a Python process import the changed copy."""
    return {"PYTHONPATH": str(copy / "src")}


@pytest.fixture(scope="module")
def http(environ: dict[str, str], copy: Path) -> Iterator[httpx.Client]:
    """An authorised client of a server of the changed copy, on a home that the copy made."""
    home = ["--home", str(copy / "home")]
    made = output_of(["-m", "queryrun.cli", "init", *home, "--json"], environ)
    command = [sys.executable, "-m", "queryrun.cli", "serve", *home]
    process, url = start_serving(command, copy / "log", environ)
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            form = {"grant_type": "client_credentials"} | json.loads(made)
            form = {name: form[name] for name in ("grant_type", "client_id", "client_secret")}
            token = client.post("/oauth/token", data=form).json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
            yield client
    finally:
        process.kill()
        process.communicate()


def output_of(arguments: list[str], environ: dict[str, str]) -> str:
    """What a Python of the changed copy prints; it must succeed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environ, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_field_changes_six_files_at_most(touched: list[str]) -> None:
    assert 0 < len(set(touched)) <= 6


def test_the_new_field_is_stored_and_rendered_when_it_is_named(http: httpx.Client) -> None:
    body = {"sql": "SELECT 1", "content_type": "csv", "note": "by hand"}
    run = http.post("/v2/query_runs", json=body).json()
    path = f"/v2/query_runs/{run['id']}"
    assert "note" not in http.get(path).json()
    named = http.get(path, params={"fields[]": "id,note"}).json()
    assert named == {"id": run["id"], "note": "by hand"}


def test_a_wrong_value_of_the_new_field_is_refused_by_name(http: httpx.Client) -> None:
    body = {"sql": "SELECT 1", "content_type": "csv", "note": 7}
    response = http.post("/v2/query_runs", json=body)
    assert response.status_code == 400
    assert "note" in response.text


def test_the_document_describes_the_new_field(http: httpx.Client) -> None:
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    assert "note" in schemas["QueryRun"]["properties"]


def test_the_new_field_is_stored_in_postgresql(
    environ: dict[str, str], postgres_server: PostgresServer
) -> None:
    url = postgres_server.url(postgres_server.new_database())
    assert output_of(["-c", STORED_IN_POSTGRESQL, url], environ).strip() == "by hand"
