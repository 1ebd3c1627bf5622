"""The step of docs/contributing/add-a-format.md makes a format that a real server writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.executed import ROOT
from tests.docs.worked_example import copy_with_steps
from tests.e2e.conftest import Server, ServerHarness, harness

__all__ = ["harness"]

PAGE = "docs/contributing/add-a-format.md"
REGISTRY = "src/queryrun/results/formats.py"
GENERATED = {"docs/reference/openapi.json", "packages/client/src/queryrun_client/formats.py"}
SQL = "SELECT 1 AS a, 'x|y' AS b UNION ALL SELECT 2, NULL ORDER BY 1"


@pytest.fixture
def touched(tmp_path: Path) -> list[str]:
    """The paths that the step touches, after it has been applied in `tmp_path`."""
    return copy_with_steps(PAGE, tmp_path)


@pytest.fixture
def environ(touched: list[str], tmp_path: Path) -> dict[str, str]:
    """What makes a Python process import the changed copy."""
    return {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path / "src", ROOT)))}


@pytest.fixture
def server(environ: dict[str, str], harness: ServerHarness) -> Server:
    """A server of the changed copy."""
    return harness.serve(environ)


def test_a_format_is_one_entry_in_one_file(touched: list[str]) -> None:
    assert touched == [REGISTRY]


def test_a_server_writes_and_previews_the_new_format(server: Server) -> None:
    run = server.finished(server.submit(SQL, content_type="psv")["id"])
    assert run["state"] == "complete", run
    file = server.get(run["id"], "file")["file"]
    assert file["id"].endswith(".psv")
    download = server.http.get(file["url"])
    assert download.headers["content-type"] == "text/plain; charset=utf-8"
    assert download.text == 'a|b\n1|"x|y"\n2|\n'
    rows = server.http.get(f"/v2/query_runs/{run['id']}/rows").json()
    assert (rows["columns"], rows["rows"]) == (["a", "b"], [["1", "x|y"], ["2", None]])


def test_the_new_format_can_be_compressed(server: Server) -> None:
    run = server.finished(server.submit(SQL, content_type="psv", content_encoding="zip")["id"])
    assert server.get(run["id"], "file")["file"]["id"].endswith(".psv.zip")
    rows = server.http.get(f"/v2/query_runs/{run['id']}/rows", params={"offset": "1"}).json()
    assert rows["rows"] == [["2", None]]


def test_the_tests_of_the_registry_pass_with_the_new_entry(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/unit/results/test_formats.py"],
        env=os.environ | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "psv" in done.stdout, "the tests ran on the changed copy"


def test_the_documents_are_generated(environ: dict[str, str], tmp_path: Path) -> None:
    for folder in ("docs", "packages"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    command = [sys.executable, str(tmp_path / "docs/generate.py")]
    subprocess.run(command, env=os.environ | environ, check=True, capture_output=True)
    changed = {path for path in GENERATED if _differs(tmp_path, path)}
    assert changed == GENERATED
    assert not any(_differs(tmp_path, f"docs/reference/{name}.md") for name in ("cli", "settings"))
    assert '"psv"' in (tmp_path / "packages/client/src/queryrun_client/formats.py").read_text()


def _differs(copy: Path, path: str) -> bool:
    return (copy / path).read_bytes() != (ROOT / path).read_bytes()
