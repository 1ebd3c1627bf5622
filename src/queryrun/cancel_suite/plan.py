"""How much of each class is done, and where it says how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

LETTERS = "ABCDEFG"


class Progress(Protocol):
    """A bar for people."""

    def begin(self, title: str, total: int) -> None:
        """A new class with so many steps."""
        ...

    def step(self, count: int = 1, *, say: str = "") -> None:
        """So many steps more; `say` is what is being done."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """`scale` 1 is the whole suite; 0.01 is a quick look with at least one of everything."""

    scale: float = 1.0
    only: tuple[str, ...] = ()
    """Names of statements that class C is kept to; empty: all."""

    def count(self, full: int, least: int = 1, share: float = 1.0) -> int:
        """`full`, scaled, but at least `least`; `share` is the engine's (`engine.Bounds`)."""
        return max(least, round(full * self.scale * share))
