"""The size of the suite, and the interface for its progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """A progress bar."""

    def begin(self, title: str, total: int) -> None:
        """Start a class of `total` steps."""
        ...

    def step(self, count: int = 1, *, label: str = "") -> None:
        """Advance by `count` steps; `label` names the current one."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """`scale` 1 is the whole suite; 0.01 is quick, with at least one of everything."""

    scale: float = 1.0
    only: tuple[str, ...] = ()
    """Names of the statements of class C to run; empty: all."""

    def count(self, full: int, least: int = 1, share: float = 1.0) -> int:
        """`full`, scaled, but at least `least`; `share` is the engine's (`engine.Bounds`)."""
        return max(least, round(full * self.scale * share))
