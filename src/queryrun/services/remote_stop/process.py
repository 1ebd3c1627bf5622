"""The remote-stop process: calls remote engines away from the node's event loop.

Engines' client libraries block, and some take a second to import. Here they are loaded once and
serve many calls at the same time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import msgspec

from queryrun.engines.base import RemoteEndpoint, RemoteEngine
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import RunFailed
from queryrun.processes.channel import Channel
from queryrun.processes.child_setup import limit_memory, name_process
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.services.remote_stop.frames import RemoteRequest, RemoteResponse

MEMORY_BYTES = 2 * 1024**3
MAX_CONCURRENT_CALLS = 16
"""Beyond it calls wait for each other; each is bounded by `engines.base.REMOTE_BOUND_S`."""

OpenRemote = Callable[[str], RemoteEngine]
"""An engine's name -> how to call it without a session."""


def run_remote_stop(control: socket.socket, open_remote: OpenRemote) -> NoReturn:
    """Respond until the node closes its end. An error fails one call and not the process."""
    limit_memory(MEMORY_BYTES)
    apply_sandbox(SandboxPolicy(network=True))
    name_process("qr:remote-stop")
    channel = Channel(control, msgspec.msgpack.Decoder(RemoteRequest).decode)
    with ThreadPoolExecutor(MAX_CONCURRENT_CALLS, "remote") as calls:
        while (request := channel.receive()) is not None:
            calls.submit(_respond, channel, request, open_remote)
        os._exit(0)


def _respond(
    channel: Channel[RemoteRequest], request: RemoteRequest, open_remote: OpenRemote
) -> None:
    """Always sends a response: the node would wait for it until its timeout."""
    try:
        names = _call(open_remote(request.source.engine), request)
        response = RemoteResponse(request.number, tuple(names))
    except RunFailed as error:
        response = RemoteResponse(request.number, problem=error.failure.message)
    except Exception as error:  # its message may hold anything, so only the type is sent
        response = RemoteResponse(request.number, problem=type(error).__name__)
    channel.send(response)


def _call(engine: RemoteEngine, request: RemoteRequest) -> list[str]:
    """Raises what the engine raises: `_respond` turns every error into a response."""
    endpoint = endpoint_of(request.source)
    match request.call:
        case "names":
            return engine.names(endpoint)
        case "check":
            engine.check(endpoint)
        case "stop":
            engine.stop(endpoint, request.name)
    return []


def endpoint_of(source: SourceSpec) -> RemoteEndpoint:
    """A source in the form that its engine's module takes."""
    return RemoteEndpoint(source.options, source.secret.text if source.secret else None)
