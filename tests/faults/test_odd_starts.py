"""Servers that were started by a parent with odd habits."""

from __future__ import annotations

import sys

import httpx2 as httpx

from tests.e2e.conftest import RUNAWAY, Server, ServerHarness, authorize, start_serving

_IGNORES_CHILDREN = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_parent_that_ignores_its_children_is_not_followed_in_that(harness: ServerHarness) -> None:
    """Ignored signals are inherited, and with this one the kernel forgets how children exited."""
    command = [sys.executable, "-c", _IGNORES_CHILDREN, "-m", "queryrun.cli", "serve"]
    command += ["--home", str(harness.made.home)]
    process, url = start_serving(command, harness.log)
    server = Server(process, url, httpx.Client(base_url=url, timeout=60), harness.made)
    harness.servers.append(server)
    authorize(server.http, harness.made.issued)
    assert server.finished(server.submit("SELECT 42 AS a")["id"])["state"] == "complete"
    run = server.submit(RUNAWAY)
    server.computing_worker(run["id"])
    assert server.cancel(run["id"], prefer="wait=20").json()["state"] == "canceled"
    assert server.finished(server.submit("SELECT 43 AS a")["id"])["state"] == "complete"
    assert server.terminate() == 0
    assert "Traceback" not in harness.log.read_text()
    assert "fork_server_lost" not in harness.log.read_text()
