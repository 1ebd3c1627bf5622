"""The servers that are attacked: real processes on loopback, each on a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2 as httpx
import psutil

from queryrun.auth.model import IssuedSecret
from queryrun.cli import clients
from queryrun.cli.home import init_home
from tests.e2e.conftest import QUICK, Server, authorize

START_TIMEOUT_S = 60.0


class Targets:
    """Starts servers and ends them. `shared` servers outlive an attack, `fresh` ones do not."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        """Under pytest: the same attacks with fewer tries."""
        self._directory = tempfile.TemporaryDirectory(
            prefix="queryrun-attack-", ignore_cleanup_errors=True
        )
        """Workers of a server that was killed may still write: the table goes on all the same."""
        self._homes = 0
        self._shared: dict[frozenset[tuple[str, str]], Server] = {}
        self._fresh: list[Server] = []
        self._clients: list[httpx.Client] = []

    def shared(self, environ: Mapping[str, str] | None = None) -> Server:
        """A server with these settings, which other attacks may have used before."""
        key = frozenset((environ or {}).items())
        server = self._shared.get(key)
        if server is None or server.process.poll() is not None:
            server = self._shared[key] = self._start(environ or {})
        return server

    def fresh(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        descriptors: int = 0,
        program: str = "queryrun.cli",
    ) -> Server:
        """A server that nobody has used. It ends with the attack.

        With `descriptors` it may open no more files than that.
        """
        server = self._start(environ or {}, descriptors, program)
        self._fresh.append(server)
        return server

    def client_of(self, server: Server, issued: IssuedSecret) -> httpx.Client:
        """An HTTP client with a token of these credentials. It is closed with the attack."""
        http = httpx.Client(base_url=server.url, timeout=60)
        self._clients.append(http)
        authorize(http, issued)
        return http

    def end_attack(self) -> None:
        """Close the clients and end the servers of one attack."""
        while self._clients:
            self._clients.pop().close()
        while self._fresh:
            self._fresh.pop().close()

    def close(self) -> None:
        """End every server, and remove their homes."""
        self.end_attack()
        for server in self._shared.values():
            server.close()
        self._directory.cleanup()

    def _start(
        self, environ: Mapping[str, str], descriptors: int = 0, program: str = "queryrun.cli"
    ) -> Server:
        """Its output goes to a file: nobody reads a pipe here, and a full one would stop it."""
        self._homes += 1
        directory = Path(self._directory.name) / str(self._homes)
        made = init_home(directory / "home", entity="main", factor=None)
        home = str(made.home)
        command = [sys.executable, "-m", program, "serve", "--home", home, "--port", "0"]
        if descriptors:
            command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        log = directory / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                text=True,
                env=os.environ | QUICK | dict(environ),
            )
        try:
            url = _url_when_listening(process, log)
            http = httpx.Client(base_url=url, timeout=60)
            authorize(http, made.issued)
        except BaseException:  # also when the attack's own time is over
            process.kill()
            process.wait()
            raise
        return Server(process, url, http, made)


def _url_when_listening(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if line.strip().startswith("listening") and line.endswith("\n") and "://" in line:
                return line.split()[-1]
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def log_of(server: Server) -> Path:
    """Everything that the server has written: its log, and what it printed at start."""
    return server.made.home.parent / "log"


def address_of(server: Server) -> tuple[str, int]:
    """Where the server listens."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return host.strip("[]"), int(port)


def memory_mib(server: Server) -> float:
    """Resident memory of the server's own process, without its workers."""
    return float(psutil.Process(server.process.pid).memory_info().rss) / 2**20


def new_client(server: Server, entity: str, scopes: tuple[str, ...] = ()) -> IssuedSecret:
    """A client of an entity, made beside the running server as the command line makes it."""
    new = clients.NewClient([entity], list(scopes), name="attacker")
    return clients.create(server.made.home, new)
