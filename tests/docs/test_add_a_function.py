"""The steps of docs/contributing/add-a-function.md make a function that a real server runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.executed import ROOT
from tests.docs.worked_example import copy_with_steps
from tests.e2e.conftest import Server, ServerHarness, harness

__all__ = ["harness"]

PAGE = "docs/contributing/add-a-function.md"
SQL = (
    "SELECT initials(who) AS a FROM (VALUES ('ada lovelace'), ('élan 😀'), (''), (NULL)) AS t (who)"
)


@pytest.fixture
def touched(tmp_path: Path) -> list[str]:
    """The paths that the steps touch, after they have been applied in `tmp_path`."""
    return copy_with_steps(PAGE, tmp_path)


@pytest.fixture
def server(touched: list[str], tmp_path: Path, harness: ServerHarness) -> Server:
    """A server of the changed copy, whose language is Trino's."""
    path = os.pathsep.join(map(str, (tmp_path / "src", ROOT)))
    return harness.serve({"PYTHONPATH": path, "QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})


def test_a_server_runs_the_new_function_and_refuses_what_it_does_not_take(server: Server) -> None:
    run = server.finished(server.submit(SQL)["id"])
    assert run["state"] == "complete", run
    file = server.get(run["id"], "file")["file"]
    assert server.http.get(file["url"]).text.splitlines() == ["a", "AL", "É😀", '""', ""]
    refused = {
        "SELECT initials(1)": ("type_mismatch", "Unexpected parameters (integer)"),
        "SELECT initials('a' || chr(0))": ("invalid_value", "A name has no NUL"),
    }
    for sql, (code, message) in refused.items():
        failed = server.finished(server.submit(sql)["id"])
        error = server.get(failed["id"], "error")["error"]
        assert error["code"] == code
        assert message in error["message"]


def test_it_is_translated_for_spark(touched: list[str], tmp_path: Path) -> None:
    program = (
        "from queryrun.sql.spark.translate import SparkTables, to_spark; "
        """print(to_spark("SELECT initials('a')", lambda needs: SparkTables({})).sql)"""
    )
    environ = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "upper(regexp_replace(trim('a')" in done.stdout
