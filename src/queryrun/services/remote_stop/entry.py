"""The remote-stop process with the engines of the registry."""

from __future__ import annotations

import socket
from typing import NoReturn

from queryrun.engines.base import RemoteEngine
from queryrun.engines.registry import ENGINES
from queryrun.services.remote_stop.process import run_remote_stop


def main(control: socket.socket) -> NoReturn:
    """The entry point: call real engines."""
    run_remote_stop(control, open_remote)


def open_remote(engine: str) -> RemoteEngine:
    """How to call a remote engine without a session (`process.OpenRemote`)."""
    return ENGINES[engine].open_remote()
