"""Start a driver of somebody else's client, and talk to it."""

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
    """A driver process: a request is one JSON line, and so is its answer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **wish: Any) -> dict[str, Any]:
        """One request; `AssertionError` when the driver ended instead of answering."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **wish}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver ended; its trouble is on stderr"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def answer(self, name: str, **arguments: Any) -> Any:
        """What a call of the client gave back; it must not have failed."""
        found = self.ask("call", name=name, **arguments)
        assert "answer" in found, found
        return found["answer"]

    def error(self, name: str, **arguments: Any) -> dict[str, Any]:
        """How a call of the client failed; it must have."""
        found = self.ask("call", name=name, **arguments)
        assert "error" in found, found
        error: dict[str, Any] = found["error"]
        return error


@contextmanager
def driven(script: str) -> Iterator[Driven]:
    """A driver, ended with the block. Where the clients are not installed the test is skipped,
    in CI it fails."""
    if not PYTHON.exists():
        if os.environ.get("CI"):
            raise AssertionError("`make existing-clients` has not been run")
        pytest.skip("other people's clients are not installed: make existing-clients")
    with subprocess.Popen(
        [PYTHON, "-W", "ignore", HERE / script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Driven(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
