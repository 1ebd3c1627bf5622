"""A real server process with one remote source whose secret it reads from its environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from queryrun.cli.home import init_home
from tests.e2e.conftest import Server, ServerHarness

SOURCE = "warehouse"
_SECRET_ENV = "WAREHOUSE_SECRET"
_PREFIX = f"QUERYRUN_SOURCES__{SOURCE.upper()}__"
_TIMEOUT_S = 60.0


class Served:
    """A home with that source. Every server on it is stopped afterwards."""

    def __init__(self, harness: ServerHarness, environ: Mapping[str, str]) -> None:
        self._harness = harness
        self._environ = environ

    @property
    def log(self) -> str:
        """Everything that servers have logged."""
        return self._harness.log.read_text()

    def serve(self, secret: str) -> Server:
        """Start a server that has this secret."""
        return self._harness.serve({**self._environ, _SECRET_ENV: secret})

    def cancel_running(
        self, server: Server, statement: str, is_running: Callable[[str], bool]
    ) -> dict[str, Any]:
        """Cancel a run once the engine runs it, by what its work is called there; the run."""
        run_id = server.submit(statement, source=SOURCE)["id"]
        _wait_until(lambda: is_running(f"queryrun-{run_id}-1"))
        response = server.cancel(run_id, prefer="wait=20")
        assert response.json()["state"] == "canceled", response.text
        return server.get(run_id, "state,cancellation")

    def wait_until_away(self, server: Server) -> str:
        """Wait until the server reports its source as unusable; return what it reports."""
        _wait_until(lambda: self._check(server) not in {"ok", "not checked yet"})
        return self._check(server)

    def assert_hidden(self, server: Server, secret: str) -> None:
        """The server itself was given the secret; nothing that it has started shows it."""
        assert secret in _process_text(server.process.pid, "environ")
        workers = server.workers()
        assert workers
        for pid in (server.process.pid, *workers):
            assert secret not in _process_text(pid, "cmdline")
        for pid in workers:
            assert secret not in _process_text(pid, "environ")
        files = (path for path in server.made.home.rglob("*") if path.is_file())
        assert not [path for path in files if secret.encode() in path.read_bytes()]

    def _check(self, server: Server) -> str:
        checks: dict[str, str] = server.http.get("/readyz").json()["checks"]
        return checks[f"source {SOURCE}"]


@contextmanager
def served(directory: Path, source: Mapping[str, str], authority: Path) -> Iterator[Served]:
    """A home in `directory` with that source, for servers that trust that authority."""
    settings = {f"{_PREFIX}{name}": value for name, value in source.items()}
    environ = {
        **settings,
        f"{_PREFIX}SECRET_ENV": _SECRET_ENV,
        "SSL_CERT_FILE": str(authority),
    }
    harness = ServerHarness(
        init_home(directory / "home", entity="main", factor=None), directory / "log"
    )
    try:
        yield Served(harness, environ)
    finally:
        harness.close()


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _process_text(pid: int, what: str) -> str:
    """What the process table has of a process; empty when it has exited meanwhile."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
