"""The checker process: parses statements away from the node's event loop, one after another."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NoReturn

import msgspec

from queryrun.sql.guard import Verdict
from queryrun.worker.channel import Channel
from queryrun.worker.child import limit_memory
from queryrun.worker.frames import Frame
from queryrun.worker.sandbox import Walls, confine

MEMORY_BYTES = 2 * 1024**3
"""Parsing a statement of 1,000,000 characters may take some hundred megabytes, no more."""

Check = Callable[[str, str], Verdict]
"""(statement, dialect) -> verdict."""


class CheckAsked(Frame, frozen=True, tag="check"):
    """Node to checker: is this acceptable?"""

    statement: str
    dialect: str = "duckdb"


class CheckAnswered(Frame, frozen=True, tag="verdict"):
    """Checker to node."""

    verdict: Verdict


def run_checker(control: socket.socket, check: Check) -> NoReturn:
    """Answer until the node lets go. Any error ends it; the node then says `too_complex`."""
    limit_memory(MEMORY_BYTES)
    confine(Walls())
    channel = Channel(control)
    asked = msgspec.msgpack.Decoder(CheckAsked)
    while (body := channel.receive_body()) is not None:
        question = asked.decode(body)
        channel.send(CheckAnswered(check(question.statement, question.dialect)))
    os._exit(0)
