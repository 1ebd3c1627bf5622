"""The checks behind `/readyz`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from queryrun.db.database import Database
from queryrun.errors import Unavailable
from queryrun.http.health import OK, SOURCE
from queryrun.runs.dispatch import Dispatcher
from queryrun.runs.sources import SourceHealth

STORE_TIMEOUT_S = 2.0


def readiness(
    database: Database,
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
        checks = {
            "store": await _store_state(database),
            "dispatcher": OK if dispatcher.accepting else "draining",
        }
        states = {name: sources.unavailable_reason(name) or OK for name in remote_sources}
        checks |= {f"{SOURCE}{name}": state for name, state in states.items()}
        return checks | {name: problem() or OK for name, problem in warnings.items()} | limits()

    return check


async def _store_state(database: Database) -> str:
    with suppress(Unavailable):
        async with asyncio.timeout(STORE_TIMEOUT_S):
            return OK if await database.runs.healthy() else "away"
    return "away"
