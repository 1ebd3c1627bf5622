"""Which sources can be used at the moment. A run on one that is down waits, and says for what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
from queryrun.runs.remote import Place

log = structlog.get_logger()

LOOK_EVERY_S = 5.0
LOOK_AGAIN_S = 1.0
"""While a source is down: how soon its runs go on once it is back."""

_UNKNOWN = "not asked yet"


class Checks(Protocol):
    """The part of `services.remote_stop.client.RemoteStopClient` that is used here."""

    async def check(self, source: SourceSpec) -> None:
        """Return when the engine would take a statement; `Unavailable` says why not."""
        ...


class SourceHealth:
    """Looks whether the engines elsewhere are up. Embedded ones always are."""

    def __init__(
        self,
        names: Collection[str],
        remote: Collection[str],
        checks: Checks,
        place: Place,
    ) -> None:
        self._names = tuple(names)
        self._remote = tuple(remote)
        self._checks = checks
        self._place = place
        self._on_back: Callable[[], None] = lambda: None
        self._down = dict.fromkeys(self._remote, _UNKNOWN)
        self._loops: list[asyncio.Task[None]] = []

    def usable(self) -> list[str]:
        """The sources whose runs may start now."""
        return [name for name in self._names if name not in self._down]

    def unavailable_reason(self, source: str) -> str | None:
        """Why runs on the source wait; None when they do not wait for it."""
        return self._down.get(source)

    def start(self) -> None:
        """Begin to look, at once and then every few seconds. Until then no run starts there."""
        self._loops = [
            asyncio.create_task(self._look_forever(source), name=f"health {source}")
            for source in self._remote
        ]

    async def close(self) -> None:
        """Stop looking."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def look(self, source: str) -> bool:
        """Ask the source's engine now; whether it is up. Embedded engines are not asked."""
        if source not in self._remote:
            return True
        try:
            await self._checks.check(await self._place(source, None))
        except Unavailable as error:
            self._note_down(source, str(error))
            return False
        self._note_up(source)
        return True

    def on_back(self, call: Callable[[], None]) -> None:
        """Call this when a source that was down is up again."""
        self._on_back = call

    async def _look_forever(self, source: str) -> None:
        while True:
            try:
                await self.look(source)
            except Exception as error:  # the loop must outlive any single surprise
                log.exception("source_check_error", source=source, error=type(error).__name__)
            await asyncio.sleep(LOOK_AGAIN_S if source in self._down else LOOK_EVERY_S)

    def _note_down(self, source: str, reason: str) -> None:
        if self._down.get(source, _UNKNOWN) == _UNKNOWN:
            log.error("source_down", source=source, reason=reason)
        self._down[source] = reason

    def _note_up(self, source: str) -> None:
        if (reason := self._down.pop(source, None)) is None:
            return
        if reason != _UNKNOWN:
            log.warning("source_up", source=source)
        self._on_back()
