"""A server ends when asked, whatever does not respond, and the next start knows the truth."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from queryrun.cli.stop_signals import EXIT_HARD
from queryrun.settings import DATABASE_NAME
from tests.e2e.conftest import RUNAWAY, ServerHarness, wait_logged

DRAIN = {"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "1"}
BOUND_S = 30
"""Far below what it took without a bound: for ever."""


def test_it_ends_while_the_store_is_locked_and_a_statement_runs(harness: ServerHarness) -> None:
    server = harness.serve(DRAIN)
    run = server.submit(RUNAWAY)
    server.computing_worker(run["id"])
    with closing(sqlite3.connect(harness.made.home / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=BOUND_S) in (0, EXIT_HARD)
        other.execute("ROLLBACK")
    again = harness.serve()
    assert again.get(run["id"])["state"] in {"accepted", "in_progress"}
    assert again.cancel(run["id"], prefer="wait=30").status_code == 200
    assert again.finished(run["id"])["state"] == "canceled"


def test_a_second_signal_ends_it_soon(harness: ServerHarness) -> None:
    server = harness.serve({"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "600"})
    server.computing_worker(server.submit(RUNAWAY)["id"])
    server.process.send_signal(signal.SIGTERM)
    wait_logged(harness.log, "draining")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=BOUND_S) in (0, EXIT_HARD)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_each_signal_drains_and_that_of_log_rotation_ends_nothing(
    harness: ServerHarness, number: signal.Signals
) -> None:
    """SIGTERM does in many other tests. Whoever runs these may ignore SIGHUP, as `nohup` does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    server = harness.serve(DRAIN)
    signal.signal(signal.SIGHUP, before)
    server.process.send_signal(signal.SIGUSR1)
    run = server.submit(RUNAWAY)
    server.computing_worker(run["id"])
    server.process.send_signal(number)
    assert server.process.wait(timeout=BOUND_S) == 0
    log = harness.log.read_text()
    assert '"event": "draining"' in log
    assert '"event": "stopped"' in log
    assert "Traceback" not in log


def test_a_server_that_was_paused_goes_on(harness: ServerHarness) -> None:
    """As a debugger, a shell's job control or a checkpoint of a container pauses it."""
    server = harness.serve(DRAIN)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.6)  # longer than anything in it waits for a signal
    server.process.send_signal(signal.SIGCONT)
    assert server.finished(server.submit("SELECT 42 AS a")["id"])["state"] == "complete"
    assert '"event": "draining"' not in harness.log.read_text()
    assert server.terminate() == 0


_INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "queryrun_cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from queryrun_cli.entry import main
main()
"""


@pytest.mark.parametrize("is_ignored", [False, True])
def test_an_interrupt_while_the_program_is_loaded_is_no_traceback(is_ignored: bool) -> None:
    ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    program = (ignore if is_ignored else "") + _INTERRUPTED_WHILE_LOADING
    command = [sys.executable, "-c", program, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode == (0 if is_ignored else -signal.SIGINT)


def test_a_hanging_server_prints_where_it_is_and_ends_at_a_second_signal(
    harness: ServerHarness,
) -> None:
    """The server's loop hangs, as on a disk that does not respond."""
    server = harness.serve(DRAIN, program=("tests.faults.hanging_server", "serve"))
    server.process.send_signal(signal.SIGTERM)
    wait_logged(harness.log, "draining")
    server.process.send_signal(signal.SIGUSR2)
    wait_logged(harness.log, "hanging_server.py", "in _hang")
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=BOUND_S) == EXIT_HARD
