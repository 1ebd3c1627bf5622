"""The registry of attacks: what each does, what it did before, and the bar it must hold now.

A group is a module of `tests/attack` that is named in `GROUPS`. Its functions register themselves:

    @attack("front", "one header of 60 MB", before="13.6 s", bar=0.5, unit="s of stalled /healthz")
    def one_large_header(targets: Targets) -> Outcome:
        server = targets.shared()
        ...
        return Outcome(stalled_s)

The figure is always one that should be small: seconds of a stall, bytes held, escapes. An attack
holds when its figure is at most its bar. It starts what it needs on loopback, and is bounded by
`timeout_s`. `targets.quick` is true under pytest: send fewer of the same then.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.attack.targets import Targets

GROUPS = ("front", "tenants", "orgs", "sandbox", "workers")
"""Modules of `tests/attack` with attacks, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attack measured: the figure, how many tries made it, and a remark for people."""

    value: float
    tried: int = 1
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `before` is text: what was seen before the wall was built."""

    group: str
    name: str
    before: str
    bar: float
    unit: str
    run: Callable[[Targets], Outcome]
    timeout_s: float = 180.0

    def holds(self, outcome: Outcome) -> bool:
        """Whether the wall stood."""
        return outcome.value <= self.bar


_registered: list[Attack] = []


def attack(
    group: str, name: str, *, before: str, bar: float, unit: str, timeout_s: float = 180.0
) -> Callable[[Callable[[Targets], Outcome]], Callable[[Targets], Outcome]]:
    """Register a function as an attack. `bar` is the largest figure that holds, in `unit`."""

    def register(run: Callable[[Targets], Outcome]) -> Callable[[Targets], Outcome]:
        _registered.append(Attack(group, name, before, bar, unit, run, timeout_s))
        return run

    return register


def attacks() -> list[Attack]:
    """Every registered attack, by group and in the order in which they are written."""
    for group in GROUPS:
        importlib.import_module(f"tests.attack.{group}")
    names = [(one.group, one.name) for one in _registered]
    if len(set(names)) != len(names):
        raise ValueError("two attacks of a group have the same name")
    return sorted(_registered, key=lambda one: GROUPS.index(one.group))
