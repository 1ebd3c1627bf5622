"""A remote engine for tests of remote stops; its `options` say how it behaves."""

from __future__ import annotations

import os
import socket
import threading
from typing import NoReturn

from queryrun.engines.base import RemoteEndpoint
from queryrun.errors import FailureCode, RunFailed
from queryrun.services.remote_stop.process import run_remote_stop


class MoodyEngine:
    """`mood`: well, away, dying, silent, broken; `work`: the names it lists."""

    def stop(self, endpoint: RemoteEndpoint, name: str) -> None:
        """Nothing to stop; behaves by its mood."""
        _suffer(endpoint)

    def names(self, endpoint: RemoteEndpoint) -> list[str]:
        """Its work, and the secret, to show that it arrives."""
        _suffer(endpoint)
        return [*endpoint.options["work"].split(","), str(endpoint.secret)]

    def check(self, endpoint: RemoteEndpoint) -> None:
        """Behaves by its mood."""
        _suffer(endpoint)


def _suffer(endpoint: RemoteEndpoint) -> None:
    match endpoint.options.get("mood"):
        case "away":
            raise RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, "it is away")
        case "dying":
            os._exit(3)
        case "silent":
            threading.Event().wait()
        case "broken":
            raise ValueError("a secret thing")


def open_remote(engine: str) -> MoodyEngine:
    """The one engine there is."""
    assert engine in {"trino", "spark"}
    return MoodyEngine()


def main(control: socket.socket) -> NoReturn:
    """The entry point of a remote-stop process on this engine."""
    run_remote_stop(control, open_remote)
