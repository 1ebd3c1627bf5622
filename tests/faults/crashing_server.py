"""A server that kills itself, kill -9, before or after one call of a part of it.

    python -m tests.faults.crashing_server PART.METHOD:before|after --home HOME --port 0

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

REACHED = "reached"
"""The file in the home that says that a crash now waits for a cancel."""


class Crashing:
    """Any part; one of its methods ends the process."""

    def __init__(self, part: Any, method: str, moment: str, reached: Path) -> None:
        self._part = part
        self._reached = reached
        self._method = method
        self._moment = moment

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name != self._method:
            return found
        return self._blocking(found) if name == "discard" else self._crashing(found)

    def _crashing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def crashing(*args: Any, **kwargs: Any) -> Any:
            if self._method == "save_handle":
                self._reached.touch()
                await self._until_canceling(args[0])
            if self._moment == "before":
                die()
            try:
                return await call(*args, **kwargs)
            finally:
                die()

        return crashing

    def _blocking(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def crashing(*args: Any) -> None:
            if self._moment == "before":
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
    """Serve until the point is reached."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("point")
    arguments.add_argument("--home", type=Path, required=True)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    settings = load(given.home)
    listener = listen(given.host, given.port)

    async def serve() -> None:
        resources = crashing_resources(open_resources(settings), given.point, given.home / REACHED)
        await serve_node(build_node(settings, url_of(listener), resources), listener)

    uvloop.run(serve())


def crashing_resources(resources: NodeResources, point: str, reached: Path) -> NodeResources:
    """The resources with the part that `point` names made to crash."""
    name, _, moment = point.partition(":")
    part, _, method = name.partition(".")
    broken: Any = Crashing(getattr(resources, part), method, moment, reached)
    changed: dict[str, Any] = {part: broken}
    return replace(resources, **changed)


if __name__ == "__main__":
    main()
