"""What a session of tests does beside running a statement: nothing."""

from __future__ import annotations

from queryrun.engines.base import EngineProgress, EngineUsage


class InertSession:
    """Neither interrupted nor renewed; it has no progress, and has used nothing."""

    def interrupt(self) -> None: ...

    def progress(self) -> EngineProgress:
        return EngineProgress(None)

    def usage(self) -> EngineUsage:
        return EngineUsage()

    def renew(self) -> bool:
        return False

    def close(self) -> None: ...
