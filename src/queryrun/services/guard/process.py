"""The guard process: parses statements away from the node's event loop, one after another."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NoReturn

import msgspec

from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import limit_memory
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.services.guard.frames import (
    CheckRequest,
    CheckResponse,
    ValidateRequest,
    ValidateResponse,
)
from queryrun.sql.check import check_statement
from queryrun.sql.guard import Verdict
from queryrun.sql.validate import validate_trino

MEMORY_BYTES = 2 * 1024**3
"""Parsing a statement of 1,000,000 characters takes at most a few hundred megabytes."""

Check = Callable[[str, str], Verdict]
"""(statement, dialect) -> verdict."""


def main(control: socket.socket) -> NoReturn:
    """The entry point: check statements as a node does."""
    run_guard(control, check_statement)


def run_guard(control: socket.socket, check: Check) -> NoReturn:
    """Respond until the node closes its end. An error stops the process, which the node notices."""
    limit_memory(MEMORY_BYTES)
    apply_sandbox(SandboxPolicy())
    channel = Channel(control, msgspec.msgpack.Decoder(CheckRequest | ValidateRequest).decode)
    while (request := channel.receive()) is not None:
        if isinstance(request, CheckRequest):
            channel.send(CheckResponse(check(request.statement, request.dialect)))
        else:
            validation = validate_trino(request.statement, request.tables)
            channel.send(ValidateResponse(validation))
    os._exit(0)
