"""Start a driver of a third-party client and send requests to it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/clients/bin/python"
HERE = Path(__file__).parent


class Driven:
    """A driver process: a request is one JSON line, and so is its response."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send_request(self, do: str, **request: Any) -> dict[str, Any]:
        """One request; `AssertionError` when the driver exits instead of responding."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver exited; its error is on stderr"
        response: dict[str, Any] = json.loads(line)
        return response

    def result(self, name: str, **arguments: Any) -> Any:
        """The result of a call of the client, which must succeed."""
        found = self.send_request("call", name=name, **arguments)
        assert "result" in found, found
        return found["result"]

    def error(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The error of a call of the client, which must fail."""
        found = self.send_request("call", name=name, **arguments)
        assert "error" in found, found
        error: dict[str, Any] = found["error"]
        return error


@contextmanager
def driven(script: str) -> Iterator[Driven]:
    """A driver for the block. Without the clients the test is skipped, or in CI fails."""
    if not PYTHON.exists():
        if os.environ.get("CI"):
            raise AssertionError("`make existing-clients` has not been run")
        pytest.skip("third-party clients are not installed: make existing-clients")
    with driver_process([str(PYTHON), "-W", "ignore", str(HERE / script)]) as process:
        yield Driven(process)


@contextmanager
def driver_process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A driver that has ended when the block has: its input is closed."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
