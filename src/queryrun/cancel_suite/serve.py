"""A separate home for the suite, served by a server process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from queryrun.cancel_suite.processes import ServerProcesses
from queryrun.cancel_suite.target import Access, Local

RAISED = {
    "QUERYRUN_RATES__PRESET": "off",
    "QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "0",
    "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
    "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
    "QUERYRUN_SOURCES__LIVE__DIALECT": "native",
    "QUERYRUN_LOG__LEVEL": "warning",
}
"""Disables limits that would stop or refuse runs before their cancel."""
SLOTS = 5
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running server on this machine."""

    access: Access
    local: Local


@contextmanager
def served(environ: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Make a home in a temporary directory, serve it on a free loopback port, and stop it.

    The server also stops when the suite gets SIGTERM, so that it never outlives the suite.
    """
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    with tempfile.TemporaryDirectory(prefix="queryrun-cancel-suite-") as directory:
        home = Path(directory) / "home"
        made = json.loads(_command("init", "--home", str(home), "--json"))
        with (Path(directory) / "server.log").open("w") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*_PROGRAM, "serve", "--home", str(home), "--host", "127.0.0.1", "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | RAISED | dict(environ or {}),
            )
        try:
            access = Access(_announced(process), made["client_id"], made["client_secret"])
            yield Served(access, Local(ServerProcesses(process.pid), home))
        finally:
            _stop(process)


def _exit_on_sigterm(_number: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


_PROGRAM = (sys.executable, "-m", "queryrun.cli")


def _command(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [*_PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101 - a pipe was requested
    for line in process.stdout:
        if line.strip().startswith("listening"):
            return line.split()[-1]
    raise RuntimeError("the server exited before it listened")


def _stop(process: subprocess.Popen[str]) -> None:
    """Send SIGTERM twice: the second aborts the drain."""
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
