"""A worker that was taken over and asks the node to sign a request which is not its own.

The statement is the request: method, path, and the digest of the body.
"""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import NoReturn

from queryrun.engines.base import EngineUsage
from queryrun.results.sigv4 import UnsignedRequest
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import NodeServices, Report


class Greedy:
    """Asks, and says that it has finished a file when it got what it asked for."""

    def __init__(self, config: WorkerConfig, node: NodeServices) -> None:
        self._host = config.results.options["endpoint"].rpartition("/")[2]
        self._sign = node.sign

    def run(self, execute: Execute, report: Report) -> Done:
        report.stage("executing")
        method, path, digest = execute.sql.split()
        self._sign(UnsignedRequest(method, self._host, path, payload_sha256=digest), timedelta())
        return Done(0, 0, digest)

    def interrupt(self) -> None: ...

    def percent(self) -> float | None:
        return None

    def usage(self) -> EngineUsage:
        return EngineUsage()

    def renew(self) -> bool:
        return False

    def close(self) -> None: ...


def main(control: socket.socket) -> NoReturn:
    """The entry point."""
    run_worker(control, Greedy)
