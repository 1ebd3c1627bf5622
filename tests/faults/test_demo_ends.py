"""Whatever ends the demonstration, its server ends with it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

BOUND_S = 60


@contextmanager
def demonstration(directory: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "queryrun.cli", "demo"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(directory), "COLUMNS": "200"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def server_of(process: subprocess.Popen[str]) -> int:
    """The process id that it prints once the server listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"\(process (\d+)", line):
            return int(found[1])
    raise AssertionError("it printed no server")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_a_demonstration(tmp_path: Path, number: signal.Signals) -> None:
    with demonstration(tmp_path) as process:
        server = os.pidfd_open(server_of(process))
        with closing(os.fdopen(server, "rb", buffering=0)) as pidfd:
            process.send_signal(number)
            assert select.select([pidfd], [], [], BOUND_S)[0], "the server goes on"
            process.wait(timeout=BOUND_S)
    if number != signal.SIGKILL:
        assert not list(tmp_path.glob("queryrun-demo-*"))
