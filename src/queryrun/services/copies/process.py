"""The process that writes copies: converts text files of one entity for one process that waits.

It may write where every run of the entity reads, and so no statement reaches it, nor anything else
that a caller wrote: what it is asked for is a digest. A worker that a statement has taken over can
have the copies of its own entity made, as they are, and no others.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from typing import NoReturn

import msgspec

from queryrun.engines.base import EngineLimits
from queryrun.errors import RunFailed
from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import (
    limit_file_size,
    limit_memory,
    memory_backstop,
    name_process,
)
from queryrun.processes.handles import open_process
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.services.copies.frames import CopiesConfig, ToCopies, WriteCopies, WrittenCopies
from queryrun.tables.text.requests import CopiesMade, CopiesRequest

FILE_SIZE_MARGIN_BYTES = 64 * 1024**2
"""So that DuckDB meets its own limit of intermediate results first."""


def main(control: socket.socket) -> NoReturn:
    """The entry point. Any error but a failure of data ends the process, which the node notices."""
    channel = Channel(control, msgspec.msgpack.Decoder(ToCopies).decode)
    config = channel.receive()
    if isinstance(config, CopiesConfig):
        watched = [control.fileno(), _descriptor_of(config.requested_by)]
        confine(config)
        name_process("qr:copies")
        threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
        while isinstance(frame := channel.receive(), WriteCopies):
            channel.send(WrittenCopies(made(config, frame.request)))
    os._exit(0)


def confine(config: CopiesConfig) -> None:
    """Before any second thread."""
    limit_memory(memory_backstop(config.memory_bytes, config.threads))
    limit_file_size(_largest_file_bytes(config))
    apply_sandbox(sandbox_policy(config))


def sandbox_policy(config: CopiesConfig) -> SandboxPolicy:
    """The entity's data to read; its copies, and a directory of its own, to write."""
    return SandboxPolicy(
        read=config.source.paths, read_write=(*config.source.written_paths, config.work_dir)
    )


def made(config: CopiesConfig, request: CopiesRequest) -> CopiesMade:
    """Convert, and say what came of it."""
    limits = EngineLimits(config.memory_bytes, config.threads, config.work_dir, config.spill_bytes)
    before_ns = time.process_time_ns()
    failure = None
    try:
        config.source.kind.write_copies(config.source.options, limits, request)
    except RunFailed as failed:
        failure = failed.failure
    cpu_ms = (time.process_time_ns() - before_ns) // 1_000_000
    if failure is None:
        return CopiesMade(cpu_ms=cpu_ms)
    return CopiesMade(failure.code, failure.message, cpu_ms)


def _largest_file_bytes(config: CopiesConfig) -> int:
    """A copy is never larger than all copies may be; 0 says that there is no limit."""
    copies_bytes = int(config.source.options.get("copies_bytes", 0))
    return max(copies_bytes, config.spill_bytes) + FILE_SIZE_MARGIN_BYTES if copies_bytes else 0


def _descriptor_of(handle: str) -> int:
    """Of the process that waits. One that has exited meanwhile needs nothing."""
    descriptor = open_process(handle)
    if descriptor is None:
        os._exit(0)
    return descriptor


def _end_with(watched: list[int]) -> NoReturn:
    """Exit when the node has, or the process that waits: whatever ended that one, a lease that ran
    out or another node, nothing works for its run any more."""
    poll = select.poll()
    control, waiting = watched
    poll.register(control, select.POLLRDHUP)
    poll.register(waiting, select.POLLIN)
    poll.poll()
    os.killpg(0, signal.SIGKILL)
    raise AssertionError  # killed above
