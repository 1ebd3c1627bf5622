"""Serve a home in the foreground: listen, start the node, and shut down on SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn
import uvloop

from queryrun.cli.banner import banner
from queryrun.cli.logs import configure_logs
from queryrun.cli.private import keep_private
from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, Settings, load
from queryrun.wiring.node import Node, build_node
from queryrun.wiring.sandbox import NodeSandbox, node_sandbox

log = structlog.get_logger()

_BACKLOG = 2048
_CLOSE_CONNECTIONS_S = 5


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of `serve`, which override the settings; None: use the setting."""

    host: str | None = None
    port: int | None = None
    roles: str | None = None


def serve_home(home: Path, options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT; returns after an orderly shutdown."""
    if not (home / CONFIG_NAME).exists():
        raise ConfigurationError(f"{home} is not a home yet; `queryrun init --home {home}` first")
    keep_private(home)
    environ = dict(os.environ)
    if options.roles is not None:
        environ["QUERYRUN_SERVER__ROLES"] = options.roles
    settings = load(home, environ)
    configure_logs(settings.log)
    host = settings.server.host if options.host is None else options.host
    sandbox = node_sandbox(settings, host)
    port = settings.server.port if options.port is None else options.port
    uvloop.run(_serve(settings, sandbox, listen(host, port)))


async def _serve(settings: Settings, sandbox: NodeSandbox, listener: socket.socket) -> None:
    await serve_node(build_node(settings, url_of(listener), sandbox=sandbox), listener)


async def serve_node(node: Node, listener: socket.socket) -> None:
    """Serve a node until SIGTERM or SIGINT. Run it on the main thread."""
    server = _Server(_uvicorn_config(node))
    signals = _Signals(asyncio.get_running_loop())
    await node.start()
    serving = asyncio.create_task(server.serve([listener]))
    try:
        print(banner(node.settings, url_of(listener), node.sandbox), flush=True)
        await _wait_for_stop(signals, serving)
        await _drain(node, signals)
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        await node.close()
        log.info("stopped")


async def _wait_for_stop(signals: _Signals, serving: asyncio.Task[None]) -> None:
    """Wait for the first signal, or until the server stops without one."""
    signaled = asyncio.create_task(signals.first.wait())
    await asyncio.wait({signaled, serving}, return_when=asyncio.FIRST_COMPLETED)
    signaled.cancel()


async def _drain(node: Node, signals: _Signals) -> None:
    """Let running statements finish, for `server.drain_timeout_s` or until a second signal."""
    timeout_s = node.settings.server.drain_timeout_s
    log.info("draining", running=node.dispatcher.held, timeout_s=timeout_s)
    drain = asyncio.create_task(node.drain(timeout_s))
    second_signal = asyncio.create_task(signals.second.wait())
    await asyncio.wait({drain, second_signal}, return_when=asyncio.FIRST_COMPLETED)
    second_signal.cancel()
    if not drain.done():
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)
        await node.drain(0)


class _Signals:
    """SIGTERM and SIGINT as events: the first starts the shutdown, the second aborts the drain."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._take)

    def _take(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


class _Server(uvicorn.Server):
    """Uvicorn without its signal handling, which would skip the drain and exit with 143."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Our handlers are already installed."""
        yield


def _uvicorn_config(node: Node) -> uvicorn.Config:
    """The node logs and drains itself, so uvicorn does neither."""
    return uvicorn.Config(
        node.app,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_CLOSE_CONNECTIONS_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything starts, so that a port in use fails immediately."""
    try:
        return socket.create_server((host, port), backlog=_BACKLOG, reuse_port=False)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
