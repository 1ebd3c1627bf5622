"""The cancel suite with reduced counts: every class finds that its guarantee holds.

Time limits are not asserted here: the suite judges them itself, on a quiet machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ServerHarness

QUEUE = {
    "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
}
STATEMENTS = (
    "cross join count",
    "list_sum of many ranges",
    "spill: sort at the memory limit",
    "plan: IN list of 1,000,000 characters",
    "copy 2e9 rows: csv, gzip",
    "copy 2e9 rows: gzip, encrypted",
)


def run_suite(report: Path, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    """Run the command. Returns its output and the classes of its report."""
    command = [sys.executable, "-m", "queryrun.cli", "cancel-suite", "--json", str(report)]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=500, check=False
    )
    assert report.exists(), done.stderr
    classes: list[dict[str, Any]] = json.loads(report.read_text())["classes"]
    return done.stdout, classes


def assert_kept(one: dict[str, Any]) -> None:
    """Something was checked, and nothing was broken."""
    assert one["checks"] > 0, one
    assert one["violations"] == 0, one["examples"]


def test_classes_without_heavy_statements_hold(tmp_path: Path) -> None:
    output, classes = run_suite(tmp_path / "report", "--classes", "ABDEG", "--scale", "0.005")
    assert [one["class"] for one in classes] == ["A", "B", "D", "E", "G"]
    for one in classes:
        assert_kept(one)
        assert one["title"][:20] in output


def test_statements_of_every_kind_are_stopped(tmp_path: Path) -> None:
    selected = [argument for name in STATEMENTS for argument in ("--statement", name)]
    _, [found] = run_suite(tmp_path / "report", "--classes", "C", "--scale", "0.2", *selected)
    assert_kept(found)
    assert [row["name"] for row in found["rows"]] == list(STATEMENTS)
    [spilled] = [note for note in found["notes"] if note.endswith("KB spilled")]
    assert ": 0 KB" not in spilled


def test_a_remote_server_is_tested_by_its_responses_and_the_rest_is_listed(
    harness: ServerHarness, tmp_path: Path
) -> None:
    server = harness.serve(QUEUE)
    home = harness.made.home
    access = ["--url", server.url, "--client-id", harness.made.issued.client.id]
    access += ["--client-secret-file", str(home / "first-client.secret")]
    few = ["--classes", "ADG", "--scale", "0.005"]
    _, classes = run_suite(tmp_path / "report", *access, *few)
    for one in classes:
        assert_kept(one)
    [about_a] = [one["notes"] for one in classes if one["class"] == "A"]
    assert any("was not inspected" in note for note in about_a)


def test_a_class_that_could_not_be_tested_does_not_hold(tmp_path: Path) -> None:
    """No check proves nothing, so the exit status is 1."""
    command = [sys.executable, "-m", "queryrun.cli", "cancel-suite", "--classes", "C"]
    none = ["--statement", "no such statement"]
    done = subprocess.run([*command, *none], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"BROKEN" in done.stdout


@pytest.mark.parametrize("way", ["home", "environment"])
def test_an_admin_cancels_the_run_of_another_client(harness: ServerHarness, way: str) -> None:
    from queryrun.cli.clients import NewClient, create

    server = harness.serve()
    other = create(harness.made.home, NewClient(["main"], name="other"))
    with harness.as_client(server, other) as http:
        body = {"sql": "SELECT list_sum(range(100000000))", "content_type": "csv"}
        run_id = http.post("/v2/query_runs", json=body).json()["id"]
        done = admin_cancel(harness, server.url, run_id, way)
        assert done.returncode == 0, done.stderr
        run = http.get(f"/v2/query_runs/{run_id}", params={"fields[]": "state,cancellation"}).json()
    assert run["state"] == "canceled"
    assert run["cancellation"]["reason"] == "admin"
    assert run["cancellation"]["canceled_by"] == harness.made.issued.client.id


def admin_cancel(
    harness: ServerHarness, url: str, run_id: str, way: str
) -> subprocess.CompletedProcess[str]:
    """`queryrun admin cancel`, configured by a home or by the environment."""
    home = harness.made.home
    command = [sys.executable, "-m", "queryrun.cli", "admin", "cancel", run_id]
    environ = dict(os.environ)
    if way == "home":
        command += ["--home", str(home), "--url", url]
    else:
        environ |= {
            "QUERYRUN_URL": url,
            "QUERYRUN_CLIENT_ID": harness.made.issued.client.id,
            "QUERYRUN_CLIENT_SECRET_FILE": str(home / "first-client.secret"),
        }
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environ
    )
