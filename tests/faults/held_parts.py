"""A node's store and pool, held before or after one call until the test releases it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from queryrun.wiring.resources import NodeResources


class Gate:
    """One call that stops at a gate. `reached` is set when it is there; `open` lets it continue."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def pass_through(self) -> None:
        """Wait here until the gate is open."""
        self.reached.set()
        await self.open.wait()


class Held:
    """Any part, with a gate before or after one of its methods."""

    def __init__(self, part: Any, method: str, gate: Gate, *, after: bool) -> None:
        self._part = part
        self._method = method
        self._gate = gate
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return self._held(found) if name == self._method else found

    def _held(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def held(*args: Any, **kwargs: Any) -> Any:
            if not self._after:
                await self._gate.pass_through()
            result = await call(*args, **kwargs)
            if self._after and result:
                await self._gate.pass_through()
            return result

        return held


def holding(
    part: str, method: str, gate: Gate, *, after: bool = False
) -> Callable[[NodeResources], NodeResources]:
    """Resources whose `part` stops at the gate in `method`; `after`: with its (true) result."""

    def wrap(resources: NodeResources) -> NodeResources:
        held: Any = Held(getattr(resources, part), method, gate, after=after)
        changed: dict[str, Any] = {part: held}
        return replace(resources, **changed)

    return wrap
