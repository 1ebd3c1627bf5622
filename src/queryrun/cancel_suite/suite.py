"""The classes in their order, against one server; the table at the end; whether all of it holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from queryrun.cancel_suite import class_a, class_b, class_c, class_d, class_e, class_f, class_g
from queryrun.cancel_suite.engine import Engine
from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Finding, machine, show
from queryrun.cancel_suite.serve import SLOTS, served
from queryrun.cancel_suite.target import Access, Local, Target, connected

_Class = Callable[[Target, Plan, Progress], Coroutine[Any, Any, Finding]]
CLASSES: dict[str, _Class] = {
    "A": class_a.run,
    "B": class_b.run,
    "C": class_c.run,
    "D": class_d.run,
    "E": class_e.run,
    "F": class_f.run,
    "G": class_g.run,
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run, and where the report goes."""

    plan: Plan
    letters: str = "ABCDEFG"
    slots: int = SLOTS
    engine: Engine = field(default_factory=Engine)
    report: Path | None = None


def run_on_own_server(
    order: Order, console: Console, environ: Mapping[str, str] | None = None
) -> bool:
    """Serve a home of our own and run the suite on it; True when everything holds.

    `environ` is what the server is told besides: where its engine is.
    """
    with served(environ) as server:
        return run_against(server.access, server.local, order, console)


def run_against(access: Access, local: Local | None, order: Order, console: Console) -> bool:
    """Run the suite against a server; True when every promise and every bar holds."""
    began_s = time.monotonic()
    findings = uvloop.run(_run(access, local, order, console))
    show(findings, console)
    console.print(f"took {time.monotonic() - began_s:.0f} s, scale {order.plan.scale:g}")
    holds = all(finding.holds for finding in findings)
    if order.report is not None:
        _write(order, findings, holds)
    console.print("[bold green]holds[/]" if holds else "[bold red]BROKEN[/]")
    return holds


async def _run(
    access: Access, local: Local | None, order: Order, console: Console
) -> list[Finding]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[say]}"),
    )
    with RichProgress(*columns, console=console) as progress:
        bar = _Bar(progress)
        return [await _one(access, local, order, letter, bar) for letter in order.letters]


async def _one(
    access: Access, local: Local | None, order: Order, letter: str, bar: Progress
) -> Finding:
    """One class, with a token of its own: a whole suite may outlast one."""
    try:
        async with connected(access, local, order.slots, order.engine) as target:
            return await CLASSES[letter](target, order.plan, bar)
    except Exception as error:  # whatever it is, the others have their turn and the table comes
        finding = Finding(letter, "could not be tested to its end")
        finding.broken(f"{type(error).__name__}: {error}")
        return finding


class _Bar:
    """`plan.Progress` on a terminal."""

    def __init__(self, progress: RichProgress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, say="")
        progress.remove_task(self._task)

    def begin(self, title: str, total: int) -> None:
        if not self._progress.console.is_terminal:  # a log shows no bar before the end
            self._progress.console.print(f"{title}: {total:,} steps")
        self._task = self._progress.add_task(title, total=total, say="")

    def step(self, count: int = 1, *, say: str = "") -> None:
        self._progress.update(self._task, advance=count, say=say)


def _write(order: Order, findings: Sequence[Finding], holds: bool) -> None:
    report = {
        "holds": holds,
        "engine": order.engine.name,
        "scale": order.plan.scale,
        "machine": machine(),
        "classes": [finding.as_dict() for finding in findings],
    }
    assert order.report is not None  # noqa: S101 - the caller has looked
    order.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
