"""The estimate process: plans statements on one source of one entity, until its node ends it.

The sandbox lets it read that entity's data and write into a directory of its own, so it serves no
other entity. It stays, because opening an engine takes longer than planning.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NoReturn

import msgspec

from queryrun.engines.base import CopyingSession
from queryrun.engines.estimates import Estimator, StatementEstimate
from queryrun.engines.statements import opened_for
from queryrun.errors import Failure, RunFailed
from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import limit_memory, name_process
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.services.estimate.frames import (
    Copied,
    EstimateRequest,
    EstimateResponse,
    ToEstimate,
)
from queryrun.tables.text.requests import CopiesRequest

MEMORY_BYTES = 2 * 1024**3
"""Far more than planning needs; a statement that makes the engine use it crashes the process."""
KEEP_FILES_S = 10.0
"""Without a statement, until the files of the last ones are closed."""

OpenEstimator = Callable[[EstimateRequest], Estimator]
"""Opens the source. Raises `RunFailed` when it cannot."""


def main(control: socket.socket) -> NoReturn:
    """The entry point: estimate statements on a real source."""
    run_estimates(control, open_estimator)


def open_estimator(request: EstimateRequest) -> Estimator:
    """The estimator of a source (`OpenEstimator`)."""
    source = request.source
    return source.kind.open_estimator(
        source.options, source.secret_text, request.work_dir, request.time_zone
    )


def run_estimates(control: socket.socket, open_source: OpenEstimator) -> NoReturn:
    """Respond until the node closes its end. An error stops the process, which the node notices."""
    channel = Channel(control, msgspec.msgpack.Decoder(ToEstimate).decode)
    request = channel.receive()
    if isinstance(request, EstimateRequest):
        limit_memory(MEMORY_BYTES)
        apply_sandbox(sandbox_policy(request))
        name_process("qr:estimate")
    estimator: Estimator | None = None
    while isinstance(request, EstimateRequest):
        try:
            estimator = estimator or _opened(request, open_source, channel)
            channel.send(EstimateResponse(_estimate(estimator, request)))
        except RunFailed as failed:
            channel.send(_failed(failed))
        request = _next_request(channel, estimator)
    os._exit(0)


def _opened(
    request: EstimateRequest, open_source: OpenEstimator, channel: Channel[ToEstimate]
) -> Estimator:
    estimator = open_source(request)
    if isinstance(estimator, CopyingSession):
        estimator.set_copies(lambda needed: _request_copies(channel, needed))
    return estimator


def _request_copies(channel: Channel[ToEstimate], needed: CopiesRequest) -> None:
    """`RequestCopies`: the node has them made while this process waits."""
    channel.send(EstimateResponse(copies=needed))
    response = channel.receive()
    if not isinstance(response, Copied):
        os._exit(0)  # the node has closed its end
    if response.made.code is not None:
        raise RunFailed(Failure(response.made.code, response.made.message))


def _next_request(channel: Channel[ToEstimate], estimator: Estimator | None) -> ToEstimate | None:
    """Whoever asked has the response already; an idle process keeps no deleted file's space."""
    if estimator:
        estimator.prepare()
        if not channel.readable(KEEP_FILES_S):
            estimator.release_files()
    return channel.receive()


def _estimate(estimator: Estimator, request: EstimateRequest) -> StatementEstimate:
    opened = opened_for(request.source, request.sql, request.parameters)
    try:
        return estimator.estimate(opened.text, request.row_filter, opened.values)
    except RunFailed as failed:
        raise opened.moved(failed) from failed


def sandbox_policy(request: EstimateRequest) -> SandboxPolicy:
    """The entity's data and copies to read, a directory to write, or a remote engine."""
    return SandboxPolicy(
        read=request.source.paths,
        read_write=(request.work_dir,),
        network=request.source.kind.is_remote,
    )


def _failed(error: RunFailed) -> EstimateResponse:
    failure = error.failure
    return EstimateResponse(
        code=failure.code.value,
        message=failure.message,
        line=failure.line,
        column=failure.column,
    )
