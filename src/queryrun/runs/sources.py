"""Health of the sources. A run on a source that is down waits until the source is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import ConfigurationError, Unavailable
from queryrun.runs.loop import BackgroundLoops
from queryrun.runs.remote import ResolveSource

log = structlog.get_logger()

CHECK_INTERVAL_S = 5.0
RECHECK_INTERVAL_S = 1.0
"""Interval while a source is down: bounds how long its runs wait once it is back."""

_UNKNOWN = "not checked yet"


class SourceCheck(Protocol):
    """Checks one engine (`services.remote_stop` implements it)."""

    async def check(self, source: SourceSpec) -> None:
        """Return if the engine would accept a statement. Raises `Unavailable` with the reason."""
        ...


class SourceHealth:
    """Checks remote engines periodically. Embedded engines are always available."""

    def __init__(
        self,
        names: Collection[str],
        remote: Collection[str],
        source_check: SourceCheck,
        resolve: ResolveSource,
    ) -> None:
        self._names = tuple(names)
        self._remote = tuple(remote)
        self._source_check = source_check
        self._resolve = resolve
        self._on_recovery: Callable[[], None] = lambda: None
        self._down = dict.fromkeys(self._remote, _UNKNOWN)
        self._loops = BackgroundLoops()

    def available(self) -> list[str]:
        """The sources whose runs may start now."""
        return [name for name in self._names if name not in self._down]

    def unavailable_reason(self, source: str) -> str | None:
        """Why runs on the source have to wait for it; None when it is available."""
        return self._down.get(source)

    def start(self) -> None:
        """Start to check: now, and then periodically. Until its first check a source is down."""
        for source in self._remote:
            self._loops.start(f"health {source}", self._check_forever(source))

    async def close(self) -> None:
        """Stop checking."""
        await self._loops.close()

    async def check(self, source: str) -> bool:
        """Check the source's engine now; True when it is available. Embedded engines always are."""
        if source not in self._remote:
            return True
        try:
            await self._source_check.check(await self._resolve(source, None))
        except (Unavailable, ConfigurationError) as error:  # such as a secret's file that is gone
            self._mark_down(source, str(error))
            return False
        self._mark_up(source)
        return True

    def on_recovery(self, call: Callable[[], None]) -> None:
        """Call this when a source that was down is available again."""
        self._on_recovery = call

    async def _check_forever(self, source: str) -> None:
        while True:
            try:
                await self.check(source)
            except Exception as error:  # the loop must survive any single error
                log.exception("source_check_error", source=source, error=type(error).__name__)
            await asyncio.sleep(RECHECK_INTERVAL_S if source in self._down else CHECK_INTERVAL_S)

    def _mark_down(self, source: str, reason: str) -> None:
        if self._down.get(source, _UNKNOWN) == _UNKNOWN:
            log.error("source_down", source=source, reason=reason)
        self._down[source] = reason

    def _mark_up(self, source: str) -> None:
        if (reason := self._down.pop(source, None)) is None:
            return
        if reason != _UNKNOWN:
            log.warning("source_up", source=source)
        self._on_recovery()
