"""Results go where they were sent, by the real command against a real server."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Server


def command(server: Server, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The command line as the server's client."""
    environ = os.environ | {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "QUERYRUN_URL": server.url,
        "QUERYRUN_CLIENT_ID": server.made.issued.client.id,
        "QUERYRUN_CLIENT_SECRET": server.made.issued.secret,
    }
    return subprocess.run(
        [sys.executable, "-m", "queryrun.cli", *arguments],
        capture_output=True,
        env=environ,
        timeout=100,
        check=True,
    )


def test_rows_go_into_a_device_a_stream_and_through_a_link(common: Server, tmp_path: Path) -> None:
    sql = "SELECT 42 AS a"
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        device.symlink_to("/dev/null")
    command(common, tmp_path, "run", sql, "--output", str(device))
    assert stat.S_ISCHR(device.stat().st_mode)
    for stream in ("-", "/dev/stdout"):
        done = command(common, tmp_path, "run", sql, "--quiet", "--output", stream)
        assert done.stdout == b"a\n42\n"
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "file.csv")
    command(common, tmp_path, "run", sql, "--output", str(link))
    assert (link.is_symlink(), (tmp_path / "file.csv").read_text()) == (True, "a\n42\n")
