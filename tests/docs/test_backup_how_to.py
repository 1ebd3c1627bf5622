"""The pages about backups: what was there before the disaster is there after the restore."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import httpx2 as httpx

from tests.docs.executed import Workspace, blocks_of
from tests.e2e.conftest import ServerHarness, harness

__all__ = ["harness"]


def test_a_restored_home_has_its_runs_files_data_and_clients(
    harness: ServerHarness, tmp_path: Path
) -> None:
    """The link that was given out before works after the restore too: the key is the same."""
    backup, restore = blocks_of("docs/how-to/backup.md")
    home = harness.made.home
    (home / "data/main/kept.csv").write_text("id\n1\n2\n", encoding="utf-8")
    server = harness.serve()
    run = server.submit("SELECT count(*) AS rows FROM kept")
    before = server.finished(run["id"])
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    workspace = Workspace(tmp_path, environ, lambda text: text.replace("home/", f"{home}/"))
    workspace.execute([backup])
    later = server.submit("SELECT 'after the backup' AS a")
    assert server.finished(later["id"])["state"] == "complete"

    server.kill()
    shutil.rmtree(home)
    made = Workspace(tmp_path, environ, lambda text: text.replace("home", str(home)))
    made.execute([restore])

    again = harness.serve()
    after = again.get(run["id"])
    assert (after["state"], after["file"]["id"]) == ("complete", before["file"]["id"])
    assert httpx.get(again.url + httpx.URL(before["file"]["url"]).raw_path.decode()).text == (
        "rows\n2\n"
    )
    assert again.http.get(f"/v2/query_runs/{later['id']}").status_code == 404
    new = again.submit("SELECT sum(id) AS total FROM kept")
    assert again.file_text(again.finished(new["id"])) == "total\n3\n"
