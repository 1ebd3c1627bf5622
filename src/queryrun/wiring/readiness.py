"""The checks behind `/readyz`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from queryrun.http.health import OK, SOURCE
from queryrun.runs.dispatch import Dispatcher
from queryrun.runs.health import NodeHealth
from queryrun.runs.sources import SourceHealth


def readiness(
    health: NodeHealth,
    dispatcher: Dispatcher,
    sources: SourceHealth,
    remote_sources: Sequence[str],
    limits: Callable[[], dict[str, str]],
    warnings: Mapping[str, Callable[[], str | None]],
) -> Callable[[], Awaitable[dict[str, str]]]:
    """A function that returns the state of each check by its name; `ok` is good.

    `warnings`: what is wrong with each of these; a node with one still serves.
    """

    async def check() -> dict[str, str]:
        parts = await health.states()
        checks = {"dispatcher": "draining" if dispatcher.is_leaving else OK}
        states = {name: sources.unavailable_reason(name) or OK for name in remote_sources}
        named = {f"{SOURCE}{name}": state for name, state in states.items()}
        warned = {name: problem() or OK for name, problem in warnings.items()}
        return parts | checks | named | warned | limits()

    return check
