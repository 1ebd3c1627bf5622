"""The stopper process: asks engines elsewhere to end work, away from the node's event loop.

Engines' client libraries block, and some take a second to import: so they live here, loaded
once, and serve many calls at the same time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NoReturn

import msgspec

from queryrun.engines.base import RemoteEndpoint, RemoteEngine
from queryrun.errors import RunFailed
from queryrun.worker.channel import Channel
from queryrun.worker.child import limit_memory, name_process
from queryrun.worker.frames import Frame, SourceSpec
from queryrun.worker.sandbox import Walls, confine

MEMORY_BYTES = 2 * 1024**3
CALLS_AT_ONCE = 16
"""Beyond it calls wait for each other; each is bounded by `engines.base.REMOTE_BOUND_S`."""

RemoteCall = Literal["stop", "names", "check"]
"""The methods of `RemoteEngine`."""

OpenRemote = Callable[[str], RemoteEngine]
"""An engine's name -> how to speak to it."""


class RemoteAsked(Frame, frozen=True, tag="remote"):
    """Node to stopper: do this at that source."""

    number: int
    call: RemoteCall
    source: SourceSpec
    name: str = ""


class RemoteAnswered(Frame, frozen=True, tag="answer"):
    """Stopper to node. `problem` says in which way it did not succeed."""

    number: int
    names: tuple[str, ...] = ()
    problem: str | None = None


def run_stopper(control: socket.socket, open_remote: OpenRemote) -> NoReturn:
    """Answer until the node lets go. What breaks here is one call's problem, not the process's."""
    limit_memory(MEMORY_BYTES)
    confine(Walls(network=True))
    name_process("qr:stopper")
    channel = Channel(control)
    asked = msgspec.msgpack.Decoder(RemoteAsked)
    with ThreadPoolExecutor(CALLS_AT_ONCE, "stop") as calls:
        while (body := channel.receive_body()) is not None:
            calls.submit(_answer, channel, asked.decode(body), open_remote)
        os._exit(0)


def _answer(channel: Channel, asked: RemoteAsked, open_remote: OpenRemote) -> None:
    try:
        names = _call(open_remote(asked.source.engine), asked)
        answer = RemoteAnswered(asked.number, tuple(names))
    except RunFailed as error:
        answer = RemoteAnswered(asked.number, problem=error.failure.message)
    except Exception as error:  # its message may hold anything, so only the type is told
        answer = RemoteAnswered(asked.number, problem=type(error).__name__)
    channel.send(answer)


def _call(engine: RemoteEngine, asked: RemoteAsked) -> list[str]:
    endpoint = endpoint_of(asked.source)
    match asked.call:
        case "names":
            return engine.names(endpoint)
        case "check":
            engine.check(endpoint)
        case "stop":
            engine.stop(endpoint, asked.name)
    return []


def endpoint_of(source: SourceSpec) -> RemoteEndpoint:
    """A source as its engine's module wants it."""
    return RemoteEndpoint(source.options, source.secret.text if source.secret else None)
