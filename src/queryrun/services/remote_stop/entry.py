"""Which remote engines there are: names them, as `worker/entry.py` does."""

from __future__ import annotations

import socket
from typing import NoReturn

from queryrun.engines.base import RemoteEngine
from queryrun.services.remote_stop.process import run_remote_stop


def main(control: socket.socket) -> NoReturn:
    """The entry point: call real engines."""
    run_remote_stop(control, open_remote)


def open_remote(engine: str) -> RemoteEngine:
    """How to call a remote engine without a session (`process.OpenRemote`).

    Imported here: only nodes with such sources need their libraries.
    """
    if engine == "trino":
        from queryrun.engines.trino.remote import TrinoRemote

        return TrinoRemote()
    if engine == "spark":
        from queryrun.engines.spark.remote import SparkRemote

        return SparkRemote()
    raise ValueError(engine)
