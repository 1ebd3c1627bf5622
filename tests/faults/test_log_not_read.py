"""A server whose standard error nobody reads serves on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx

from tests.e2e.conftest import QUICK, ServerHarness


def test_a_server_serves_on_when_nobody_reads_its_log(
    harness: ServerHarness, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "queryrun.cli", "serve", "--home", str(harness.made.home)]
    process = subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # 64 KiB, and nobody reads them
        text=True,
        env=os.environ | QUICK | {"XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().split()[-1]
        with httpx.Client(base_url=url, timeout=60) as http:
            for _ in range(600):
                assert http.get("/healthz").status_code == 200
        process.terminate()
        assert process.wait(timeout=60) in (0, 8)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
