"""The how-tos that can be executed are, against a real server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.docs.executed import ROOT, Workspace, blocks_of
from tests.e2e.conftest import ServerHarness, harness

__all__ = ["harness"]

FOLDERS = ("how-to", "explanation")
ALL = sorted(
    str(page.relative_to(ROOT)) for name in FOLDERS for page in (ROOT / "docs" / name).glob("*.md")
)
SELF_CONTAINED = {
    "docs/how-to/cluster.md",
    "docs/how-to/backup.md",
    "docs/how-to/sell-query-runs.md",
    "docs/how-to/webhooks.md",
}
"""Pages that start servers of their own, each with a test of its own."""
PAGES = [page for page in ALL if page not in SELF_CONTAINED and blocks_of(page)]


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_how_to_work(page: str, harness: ServerHarness, tmp_path: Path) -> None:
    server = harness.serve({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})  # as every home has it
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "QUERYRUN_URL": server.url,
        "QUERYRUN_CLIENT_ID": harness.made.issued.client.id,
        "QUERYRUN_CLIENT_SECRET": harness.made.issued.secret,
    }
    work = tmp_path / "work"
    work.mkdir()
    blocks = blocks_of(page)
    assert blocks
    Workspace(work, environ).execute(blocks)
