"""What runs need of engines elsewhere: end an attempt's work there, find work that no one owns.

A source is *remote* when its engine computes in processes that are not our workers. Killing the
worker that speaks for an attempt then proves nothing: the engine itself is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import structlog

from queryrun.engines.base import WORK_PREFIX, work_name
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
from queryrun.runs.model import AttemptRef
from queryrun.runs.state import RunState
from queryrun.runs.store import RunStore

log = structlog.get_logger()

_HELD = {RunState.IN_PROGRESS, RunState.CANCELING}


class Stops(Protocol):
    """The part of `services.remote_stop.client.RemoteStopClient` that is used here."""

    async def stop(self, source: SourceSpec, name: str) -> None:
        """End all work of this name for certain; `Unavailable` when that is not proven."""
        ...

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """The names of our work in that engine; `Unavailable` when it does not answer."""
        ...


Place = Callable[[str, str | None], Awaitable[SourceSpec]]
"""(source, entity id) -> where its engine is and as whom to speak to it; None: as no entity."""


class RemoteWork:
    """Attempts' work in engines elsewhere, by the attempts' names."""

    def __init__(self, sources: Collection[str], stops: Stops, place: Place) -> None:
        self._sources = frozenset(sources)
        self._stops = stops
        self._place = place

    @property
    def is_used(self) -> bool:
        """Whether there is any source whose engine is elsewhere."""
        return bool(self._sources)

    def is_remote(self, source: str) -> bool:
        """Whether work on this source outlives the worker that started it."""
        return source in self._sources

    async def end(self, ref: AttemptRef, source: str, entity_id: str) -> None:
        """Return when the engine itself says that nothing of the attempt is left.

        The attempt's worker has ended before: nobody starts anything under its name any more.
        `Unavailable`: not proven; ask again.
        """
        spec = await self._place(source, entity_id)
        await self._stops.stop(spec, work_name(ref.run_id, ref.number))

    async def end_orphans(self, store: RunStore) -> int:
        """End work whose attempt nobody holds any more; how many there were.

        The last net, behind `end`: an engine that was away when an attempt on it failed, or a
        request that reached it later than anyone would think. A source that does not answer
        is left for the next time. Two nodes that do this at once end the same work twice, which
        is harmless. Work for runs that the store does not know is left alone: another service
        with a database of its own may use the same engine.
        """
        ended = 0
        for source in self._sources:
            try:
                ended += await self._end_orphans_of(source, store)
            except Unavailable as error:
                log.warning("orphan_scan_skipped", source=source, reason=str(error))
        return ended

    async def _end_orphans_of(self, source: str, store: RunStore) -> int:
        ended = 0
        for name in await self._stops.names(await self._place(source, None)):
            ref = _named(name)
            if ref is None:
                continue
            run = await store.get(ref.run_id)
            if run is None or (run.attempt == ref.number and run.state in _HELD):
                continue
            await self._stops.stop(await self._place(source, run.request.entity_id), name)
            log.warning("orphan_stopped", source=source, run_id=ref.run_id, attempt=ref.number)
            ended += 1
        return ended


def _named(name: str) -> AttemptRef | None:
    """The attempt of a `work_name`; None for a name that is not one."""
    run_id, _, number = name.removeprefix(WORK_PREFIX).rpartition("-")
    if not name.startswith(WORK_PREFIX) or not number.isdecimal():
        return None
    return AttemptRef(run_id, int(number))
