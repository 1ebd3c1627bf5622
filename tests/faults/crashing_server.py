"""A server that kills itself, kill -9, before or after one call of a part of it.

    python -m tests.faults.crashing_server --home HOME --port 0

Where it crashes is in a file `crash-at` of the home, `PART.METHOD:before|after`, once there is one.
The parts are wrapped from outside; the production code has no such points. `after` is the
commit that was done and whose reply was lost. `runs.save_handle` says that it was reached, by a
file `reached` in the home, and first waits for a cancel, so that the cancel comes before the handle
exists.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from queryrun.cli.serve import listen, serve_node, url_of
from queryrun.runs.model import AttemptRef
from queryrun.runs.state import RunState
from queryrun.settings.file import load
from queryrun.wiring.node import build_node
from queryrun.wiring.resources import NodeResources, open_resources

CRASH_AT = "crash-at"
"""The file in the home that names the call which ends the process."""
REACHED = "reached"
"""The file in the home that says that a crash now waits for a cancel."""
PARTS = ("runs", "workers", "results")


class Crashing:
    """A part; the method that the file in the home names ends the process."""

    def __init__(self, part: Any, name: str, home: Path) -> None:
        self._part = part
        self._name = name
        self._home = home

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._part, method)
        call, _, moment = self._crash_at().partition(":")
        if call != f"{self._name}.{method}":
            return found
        is_before = moment == "before"
        if method == "discard":
            return self._blocking(found, is_before)
        return self._crashing(found, is_before, waits=method == "save_handle")

    def _crash_at(self) -> str:
        try:
            return (self._home / CRASH_AT).read_text()
        except FileNotFoundError:
            return ""

    def _crashing(
        self, call: Callable[..., Any], is_before: bool, *, waits: bool
    ) -> Callable[..., Any]:
        async def crashing(*args: Any, **kwargs: Any) -> Any:
            if waits:
                (self._home / REACHED).touch()
                await self._until_canceling(args[0])
            if is_before:
                die()
            try:
                return await call(*args, **kwargs)
            finally:
                die()

        return crashing

    def _blocking(self, call: Callable[..., Any], is_before: bool) -> Callable[..., Any]:
        def crashing(*args: Any) -> None:
            if is_before:
                die()
            call(*args)
            die()

        return crashing

    async def _until_canceling(self, ref: AttemptRef) -> None:
        while (await self._part.get(ref.run_id)).state is not RunState.CANCELING:  # noqa: ASYNC110 - no event crosses the store
            await asyncio.sleep(0.002)


def die() -> None:
    """What the OOM killer or a power loss would do."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve until the call is reached."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--home", type=Path, required=True)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    settings = load(given.home)
    listener = listen(given.host, given.port)

    async def serve() -> None:
        resources = crashing_resources(open_resources(settings), given.home)
        await serve_node(build_node(settings, url_of(listener), resources), listener)

    uvloop.run(serve())


def crashing_resources(resources: NodeResources, home: Path) -> NodeResources:
    """The resources with parts that may crash."""
    changed: dict[str, Any] = {
        name: Crashing(getattr(resources, name), name, home) for name in PARTS
    }
    return replace(resources, **changed)


if __name__ == "__main__":
    main()
