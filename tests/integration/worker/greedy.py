"""A worker that was taken over and asks the node to sign a request which is not its own.

The statement is the request: method, path, and the digest of the body.
"""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import NoReturn

from queryrun.results.sigv4 import UnsignedRequest
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import NodeServices, Report
from tests.integration.worker.inert import InertSession


class Greedy(InertSession):
    """Asks, and says that it has finished a file when it got what it asked for."""

    def __init__(self, config: WorkerConfig, node: NodeServices) -> None:
        self._host = config.results.options["endpoint"].rpartition("/")[2]
        self._sign = node.sign

    def run(self, execute: Execute, report: Report) -> Done:
        report.stage("executing")
        method, path, digest = execute.sql.split()
        self._sign(UnsignedRequest(method, self._host, path, payload_sha256=digest), timedelta())
        return Done(0, 0, digest)


def main(control: socket.socket) -> NoReturn:
    """The entry point."""
    run_worker(control, Greedy)
