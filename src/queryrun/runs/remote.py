"""Work of attempts in remote engines: stop it by name, find work that no attempt owns.

A source is *remote* when its engine computes in processes other than our workers. Killing the
worker of an attempt then proves nothing: the engine itself has to confirm the stop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import structlog

from queryrun.engines.base import WORK_PREFIX, work_name
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import ConfigurationError, Unavailable
from queryrun.runs.model import AttemptRef
from queryrun.runs.state import HELD
from queryrun.runs.store import RunStore

log = structlog.get_logger()


class RemoteStop(Protocol):
    """Stops and lists work in remote engines (`services.remote_stop` implements it)."""

    async def stop(self, source: SourceSpec, name: str) -> None:
        """Stop all work of this name. `Unavailable` when the engine does not confirm it."""
        ...

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """The names of our work in that engine. `Unavailable` when it does not respond."""
        ...


ResolveSource = Callable[[str, str | None], Awaitable[SourceSpec]]
"""(source, entity id) -> the engine's address and credentials. None: for no entity."""


class RemoteWork:
    """The work of attempts in remote engines, found by the attempts' names."""

    def __init__(
        self, sources: Collection[str], remote_stop: RemoteStop, resolve: ResolveSource
    ) -> None:
        self._sources = frozenset(sources)
        self._remote_stop = remote_stop
        self._resolve = resolve

    @property
    def is_used(self) -> bool:
        """Whether any source has a remote engine."""
        return bool(self._sources)

    def is_remote(self, source: str) -> bool:
        """Whether work on this source can outlive the worker that started it."""
        return source in self._sources

    async def stop(self, ref: AttemptRef, source: str, entity_id: str) -> None:
        """Stop the attempt's work. Returns when the engine reports that nothing of it is left.

        Call it after the attempt's worker has exited, so that nothing starts new work under its
        name. `Unavailable`: not confirmed, try again.
        """
        spec = await self._spec(source, entity_id)
        await self._remote_stop.stop(spec, work_name(ref.run_id, ref.number))

    async def stop_orphans(self, store: RunStore) -> int:
        """Stop work whose attempt is held by no node. Returns how many there were.

        This is the safety net behind `stop`: the engine was down when an attempt on it failed,
        or a request reached it unexpectedly late. A source that does not respond is skipped until
        the next scan. Two nodes that scan at once stop the same work twice, which is harmless.
        Work of runs that the store does not know is left alone: another service, with its own
        database, may use the same engine.
        """
        stopped = 0
        for source in self._sources:
            try:
                stopped += await self._stop_orphans_of(source, store)
            except Unavailable as error:
                log.warning("orphan_scan_skipped", source=source, reason=str(error))
        return stopped

    async def _stop_orphans_of(self, source: str, store: RunStore) -> int:
        """Names come from the engine first, and runs from the store after: an attempt that starts
        in between is not listed, so it cannot be mistaken for an orphan."""
        stopped = 0
        for name in await self._remote_stop.names(await self._spec(source, None)):
            ref = _attempt_named(name)
            if ref is None:
                continue
            run = await store.get(ref.run_id)
            if run is None or (run.attempt == ref.number and run.state in HELD):
                continue
            await self._remote_stop.stop(await self._spec(source, run.request.entity_id), name)
            log.warning("orphan_stopped", source=source, run_id=ref.run_id, attempt=ref.number)
            stopped += 1
        return stopped

    async def _spec(self, source: str, entity_id: str | None) -> SourceSpec:
        """`Unavailable` while what the source needs is away, such as the file of its secret."""
        try:
            return await self._resolve(source, entity_id)
        except ConfigurationError as error:
            raise Unavailable(str(error)) from error


def _attempt_named(name: str) -> AttemptRef | None:
    """The attempt of a `work_name`; None for a name that is not one."""
    run_id, _, number = name.removeprefix(WORK_PREFIX).rpartition("-")
    if not name.startswith(WORK_PREFIX) or not number.isdecimal():
        return None
    return AttemptRef(run_id, int(number))
