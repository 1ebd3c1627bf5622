"""The guard process: parses statements away from the node's event loop, one after another."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
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
from queryrun.sql.guard.duckdb import check_statement
from queryrun.sql.guard.validate import validate_trino
from queryrun.sql.guard.verdict import Verdict
from queryrun.sql.parameters import Parameter

MEMORY_BYTES = 2 * 1024**3
"""Parsing a statement of 1,000,000 characters takes at most a few hundred megabytes."""

Check = Callable[[str, str, Sequence[Parameter]], Verdict]
"""(statement, dialect, parameters) -> verdict."""


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
            verdict = check(request.statement, request.dialect, request.parameters)
            channel.send(CheckResponse(verdict))
        else:
            validation = validate_trino(request.statement, request.tables, request.parameters)
            channel.send(ValidateResponse(validation))
    os._exit(0)
