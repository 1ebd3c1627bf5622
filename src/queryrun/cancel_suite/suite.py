"""Runs the classes in order against one server, prints the table, and reports whether all hold."""

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

from queryrun.cancel_suite import (
    bounded,
    early_cancel,
    premature_response,
    race,
    remote_leak,
    resource_leak,
    response_codes,
)
from queryrun.cancel_suite.engine import Engine
from queryrun.cancel_suite.plan import Plan, Progress
from queryrun.cancel_suite.report import Finding, machine, show
from queryrun.cancel_suite.serve import SLOTS, served
from queryrun.cancel_suite.target import Access, Local, Target, connected

_Class = Callable[[Target, Plan, Progress], Coroutine[Any, Any, Finding]]
CLASSES: dict[str, _Class] = {
    "A": premature_response.run,
    "B": early_cancel.run,
    "C": bounded.run,
    "D": remote_leak.run,
    "E": race.run,
    "F": resource_leak.run,
    "G": response_codes.run,
}


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """The classes to run, and where to write the report."""

    plan: Plan
    classes: str = "ABCDEFG"
    slots: int = SLOTS
    engine: Engine = field(default_factory=Engine)
    report: Path | None = None


def run_on_own_server(
    options: SuiteOptions, console: Console, environ: Mapping[str, str] | None = None
) -> bool:
    """Serve a home of our own and run the suite on it; True when everything holds.

    `environ` has further settings of the server: its engine.
    """
    with served(environ) as server:
        return run_against(server.access, server.local, options, console)


def run_against(
    access: Access, local: Local | None, options: SuiteOptions, console: Console
) -> bool:
    """Run the suite against a server; True when every guarantee and every limit holds."""
    began_s = time.monotonic()
    findings = uvloop.run(_run(access, local, options, console))
    show(findings, console)
    console.print(f"duration {time.monotonic() - began_s:.0f} s, scale {options.plan.scale:g}")
    holds = all(finding.holds for finding in findings)
    if options.report is not None:
        _write(options, findings, holds)
    console.print("[bold green]holds[/]" if holds else "[bold red]BROKEN[/]")
    return holds


async def _run(
    access: Access, local: Local | None, options: SuiteOptions, console: Console
) -> list[Finding]:
    """One class after another: concurrent classes would compete for the slots."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[label]}"),
    )
    with RichProgress(*columns, console=console) as progress:
        bar = _Bar(progress)
        return [await _one(access, local, options, letter, bar) for letter in options.classes]


async def _one(
    access: Access, local: Local | None, options: SuiteOptions, letter: str, bar: Progress
) -> Finding:
    """One class, with its own token: the suite may take longer than a token is valid."""
    try:
        async with connected(access, local, options.slots, options.engine) as target:
            return await CLASSES[letter](target, options.plan, bar)
    except Exception as error:  # the other classes still run, and the table is printed
        finding = Finding(letter, "could not be tested completely")
        finding.add_violation(f"{type(error).__name__}: {error}")
        return finding


class _Bar:
    """`plan.Progress` on a terminal."""

    def __init__(self, progress: RichProgress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, label="")
        progress.remove_task(self._task)

    def begin(self, title: str, total: int) -> None:
        if not self._progress.console.is_terminal:  # a log does not show a progress bar
            self._progress.console.print(f"{title}: {total:,} steps")
        self._task = self._progress.add_task(title, total=total, label="")

    def step(self, count: int = 1, *, label: str = "") -> None:
        self._progress.update(self._task, advance=count, label=label)


def _write(options: SuiteOptions, findings: Sequence[Finding], holds: bool) -> None:
    report = {
        "holds": holds,
        "engine": options.engine.name,
        "scale": options.plan.scale,
        "machine": machine(),
        "classes": [finding.as_dict() for finding in findings],
    }
    assert options.report is not None  # noqa: S101 - checked by the caller
    options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
