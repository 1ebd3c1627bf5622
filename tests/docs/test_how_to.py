"""The how-tos that can be executed are, against a real server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from queryrun.cli.home import init_home
from tests.docs.executed import ROOT, Workspace, blocks_of
from tests.e2e.conftest import Server, ServerHarness

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all pages: a reader has no other for each either."""
    directory = tmp_path_factory.mktemp("how-to")
    harness = ServerHarness(
        init_home(directory / "home", entity="main", factor=None), directory / "log"
    )
    yield harness.serve({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})  # as every home has it
    harness.close()


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_how_to_work(page: str, server: Server, tmp_path: Path) -> None:
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "QUERYRUN_URL": server.url,
        "QUERYRUN_CLIENT_ID": server.made.issued.client.id,
        "QUERYRUN_CLIENT_SECRET": server.made.issued.secret,
    }
    work = tmp_path / "work"
    work.mkdir()
    blocks = blocks_of(page)
    assert blocks
    Workspace(work, environ).execute(blocks)
