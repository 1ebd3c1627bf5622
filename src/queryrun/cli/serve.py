"""Serve a home in the foreground: listen, start the node, and shut down on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvloop

from queryrun import __version__
from queryrun.cli.banner import banner
from queryrun.cli.existing import check_database, home_settings
from queryrun.cli.log_writer import LogWriter
from queryrun.cli.logs import configure_logs, register_log_gauge
from queryrun.cli.stop_signals import StopSignals, block_stop_signals
from queryrun.errors import ConfigurationError
from queryrun.http.server import descriptors
from queryrun.http.server.server import BACKLOG
from queryrun.processes.child_setup import keep_exit_statuses
from queryrun.results.ready_threads import ReadyThreads
from queryrun.settings import Settings
from queryrun.wiring.node import Node, build_node
from queryrun.wiring.sandbox import NodeSandbox, node_sandbox

log = structlog.get_logger()

_EVERY_IPV6 = "::"
_SWITCH_INTERVAL_S = 0.001
"""How long a thread that needs the interpreter waits for the busy event loop, several times in each
write to the database. Python's default of 5 ms made cancels during floods last twice as long."""

_COLLECT_AFTER = (10_000, 20, 20)
"""New containers more than were freed, until a collection looks at the youngest of them: about ten
times Python's default, and a few megabytes at most."""

MIN_DESCRIPTORS = 40
"""With as many, one client is served at a time."""
SHUTDOWN_S = 8.0
"""How long the shutdown may take beyond the drain: statements are stopped, processes reaped."""
_THREADS = 8
"""For calls that block for a moment: removing files, probing directories."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of `serve`, which override the settings; None: use the setting."""

    host: str | None = None
    port: int | None = None
    roles: str | None = None


def serve_home(home: Path, options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT; returns after an orderly shutdown."""
    environ = dict(os.environ)
    if options.roles is not None:
        environ["QUERYRUN_SERVER__ROLES"] = options.roles
    settings = home_settings(home, environ)
    _check_descriptors()
    check_database(settings)
    check_kernel()
    block_stop_signals()
    keep_exit_statuses()
    _print_stacks_on_request()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # of log rotation: the log is no file of ours
    logs = configure_logs(settings.log)
    host = settings.server.host if options.host is None else options.host
    sandbox = node_sandbox(settings, host)
    port = settings.server.port if options.port is None else options.port
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        uvloop.run(_serve(settings, sandbox, listen(host, port), logs))
    finally:
        logs.close()


def _print_stacks_on_request() -> None:
    """SIGUSR2 prints where each thread is, names and lines alone, to standard error: also when the
    event loop hangs, because the interpreter's own handler does it. Not without a standard error.
    """
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
        faulthandler.register(signal.SIGUSR2, all_threads=True)


def _check_descriptors() -> None:
    """With a few, a server starts and then has none left for whoever calls."""
    descriptors.raise_limit()
    if descriptors.limit() < MIN_DESCRIPTORS:
        raise ConfigurationError(
            f"this process may open {descriptors.limit()} files, and a server needs "
            f"{MIN_DESCRIPTORS} at least: raise the limit (`ulimit -n`; LimitNOFILE of systemd)"
        )


def check_kernel() -> None:
    """Without process descriptors no stop could be confirmed, and without `/proc` none begun.

    Raises `ConfigurationError` with what to change.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError) as error:
        raise ConfigurationError(
            "this kernel, or the filter of system calls around this container, has no pidfd_open: "
            "use Linux 5.3 or newer, and allow the call"
        ) from error
    if not os.path.exists("/proc/self/stat"):  # noqa: PTH110 - no file is opened
        raise ConfigurationError(
            "/proc is not mounted, and no process could be found and stopped without it: mount it "
            "(`mount -t proc proc /proc`), or start the container with it"
        )


async def _serve(
    settings: Settings, sandbox: NodeSandbox, listener: socket.socket, logs: LogWriter
) -> None:
    asyncio.get_running_loop().set_default_executor(ReadyThreads(_THREADS, "node"))
    node = build_node(settings, url_of(listener), sandbox=sandbox)
    register_log_gauge(node.registry, lambda: logs.dropped)
    await serve_node(node, listener)


async def serve_node(node: Node, listener: socket.socket) -> None:
    """Serve a node until SIGTERM, SIGINT or SIGHUP. Run it on the main thread.

    Ends `server.drain_delay_s`, `server.drain_timeout_s` and `SHUTDOWN_S` after the first signal at
    the latest.
    """
    timeout_s = node.settings.server.drain_timeout_s
    stop_within_s = node.settings.server.drain_delay_s + timeout_s + SHUTDOWN_S
    signals = StopSignals(asyncio.get_running_loop(), stop_within_s)
    server = node.http_server()
    try:
        if await _until_signal(node.start(), signals.first):
            await server.start(listener)
            _keep_what_is_started()
            _announce(node, url_of(listener))
            await signals.first.wait()
            await _drain(node, signals, timeout_s)
    finally:
        await server.close()
        await node.close()
        log.info("stopped")
        signals.close()


def _keep_what_is_started() -> None:
    """What lives as long as the node is not looked through for garbage again and again, and what
    requests leave is looked through less often: a sixth of the time of a submit was that."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _announce(node: Node, url: str) -> None:
    """The banner is for people; programs get the URL alone, and the log has it with the version."""
    log.info("started", version=__version__, url=url, roles=sorted(node.settings.roles))
    with contextlib.suppress(OSError):  # nobody reads it
        is_terminal = sys.stdout.isatty()
        text = banner(node.settings, url, node.sandbox) if is_terminal else f"listening {url}"
        # One write: the log's thread may write to the same file between a text and its line end.
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


async def _until_signal(work: Coroutine[Any, Any, None], event: asyncio.Event) -> bool:
    """Whether `work` was done before the event. It is cancelled by the event."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    task.result()
    return not event.is_set()


async def _drain(node: Node, signals: StopSignals, timeout_s: float) -> None:
    """Let running statements finish, for `timeout_s` or until a second signal."""
    node.leave()
    delay_s = node.settings.server.drain_delay_s
    log.info("draining", running=node.dispatcher.held, delay_s=delay_s, timeout_s=timeout_s)
    if delay_s > 0:
        await _until_signal(asyncio.sleep(delay_s), signals.second)
    if not await _until_signal(node.drain(timeout_s), signals.second):
        await node.drain(0)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything starts, so that a port in use fails immediately.

    IPv4 or IPv6, by the address; `::` is every address of both.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(
            address[:2],
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=host == _EVERY_IPV6 and socket.has_dualstack_ipv6(),
        )
    except UnicodeError:
        raise ConfigurationError(f"{host!r} is no address or name to listen on") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}") from error


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
