"""The steps of docs/contributing/add-an-engine.md make an engine that a real server runs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queryrun.cli.home import init_home
from tests.docs.executed import ROOT
from tests.docs.worked_example import copy_with_steps
from tests.e2e.conftest import Server, ServerHarness

PAGE = "docs/contributing/add-an-engine.md"
FOLDER = "src/queryrun/engines/sqlite/"
REGISTRY = "src/queryrun/engines/registry.py"
ENDLESS = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
SELECT sum(n % 7) FROM numbers
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
def server(environ: dict[str, str], copy: Path) -> Iterator[Server]:
    """A server of the changed copy, whose source is a SQLite file."""
    home = init_home(copy / "home", entity="main", factor=None)
    harness = ServerHarness(home, copy / "log")
    data = harness.made.home / "main.sqlite"
    with closing(sqlite3.connect(data)) as database, database:
        database.execute("CREATE TABLE account (id INTEGER, name TEXT)")
        database.executemany("INSERT INTO account VALUES (?, ?)", [(1, "ann"), (2, None)])
    source = {"ENGINE": "sqlite", "DIALECT": "native", "DATA": str(data)}
    settings = {f"QUERYRUN_SOURCES__LIVE__{name}": text for name, text in source.items()}
    yield harness.serve(environ | settings)
    harness.close()


def test_an_engine_is_a_folder_and_an_entry(touched: list[str]) -> None:
    assert {path for path in touched if not path.startswith(FOLDER)} == {REGISTRY}


def test_the_new_code_is_formatted_and_passes_the_linter(touched: list[str], copy: Path) -> None:
    paths = [str(copy / path) for path in touched]
    configuration = ["--config", str(ROOT / "pyproject.toml")]
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = run("ruff", *command, *configuration, *paths)
        assert done.returncode == 0, done.stdout + done.stderr


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of our tools, as a process."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_server_runs_statements_on_the_new_engine(server: Server) -> None:
    run = server.finished(server.submit("SELECT id, name FROM account ORDER BY id")["id"])
    assert run["state"] == "complete", run
    assert server.file_text(run).splitlines() == ["id,name", "1,ann", "2,"]


def test_a_server_lists_the_tables_of_the_new_engine(server: Server) -> None:
    tables = server.http.get("/v2/tables").json()
    assert "account" in str(tables)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM account", "not_allowed"),
        ("ATTACH '/etc/passwd' AS other", "not_allowed"),
        ("SELECT nothing FROM account", "statement_failed"),
    ],
)
def test_the_new_engine_refuses_what_is_no_query(server: Server, statement: str, code: str) -> None:
    run = server.finished(server.submit(statement)["id"])
    assert run["state"] == "failed"
    assert run["error"]["code"] == code


def test_a_cancel_stops_a_statement_on_the_new_engine(server: Server) -> None:
    run = server.submit(ENDLESS)
    worker = server.computing_worker(run["id"])
    assert server.cancel(run["id"]).status_code == 200
    assert server.finished(run["id"])["state"] == "canceled"
    assert not [pid for pid in server.workers_of(run["id"]) if pid == worker]


def test_the_reference_of_settings_names_the_new_engine(environ: dict[str, str]) -> None:
    code = "from docs.generate import settings_page; print(settings_page())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "`duckdb`, `trino`, `spark`, `sqlite`" in done.stdout
