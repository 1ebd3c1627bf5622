"""The findings of a class, and the table of all classes."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_MAX_EXAMPLES = 10


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; NaN without values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of `count` durations, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> Latency:
        """The summary of measured values."""
        p50, p99, max_ms = (percentile(values_ms, share) for share in (0.5, 0.99, 1.0))
        return cls(len(values_ms), p50, p99, max_ms)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of detail of a class: a statement, or a round."""

    name: str
    latency: Latency
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A measured value that must not exceed its limit."""

    name: str
    value: float
    limit: float
    unit: str = "ms"

    @property
    def holds(self) -> bool:
        """Whether the limit is kept; False for a value that could not be measured."""
        return self.value <= self.limit


@dataclass(slots=True)
class Finding:
    """The findings of one class. `checks` counts how often its guarantee was tested."""

    letter: str
    title: str
    checks: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    violations: int = 0
    examples: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_violation(self, text: str) -> None:
        """Record that the guarantee did not hold."""
        self.violations += 1
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(text)

    def expect(self, holds: bool, text: str) -> None:
        """Record a violation unless `holds`."""
        if not holds:
            self.add_violation(text)

    @property
    def holds(self) -> bool:
        """The verdict: at least one check, no violation, every limit kept."""
        return self.checks > 0 and not self.violations and all(bar.holds for bar in self.bars)

    def as_dict(self) -> dict[str, Any]:
        """All but the single latencies, as plain data."""
        return {
            "class": self.letter,
            "title": self.title,
            "checks": self.checks,
            "latency": asdict(Latency.of(self.latencies_ms)) if self.latencies_ms else None,
            "violations": self.violations,
            "examples": self.examples,
            "bars": [asdict(bar) | {"holds": bar.holds} for bar in self.bars],
            "rows": [asdict(row) for row in self.rows],
            "notes": self.notes,
            "holds": self.holds,
        }


def machine() -> dict[str, str]:
    """The machine and versions that the suite ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "duckdb": metadata.version("duckdb"),
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print the table, the violations and the rows of classes that have them."""
    for finding in findings:
        if finding.rows:
            console.print(_rows_table(finding))
    console.print(_class_table(findings))
    for finding in findings:
        for text in finding.examples:
            console.print(f"{finding.letter}: [red]broken[/red]: {text}", markup=True)
        for bar in finding.bars:
            verdict = "[green]kept[/green]" if bar.holds else "[red]MISSED[/red]"
            console.print(
                f"{finding.letter}: {bar.name}: {bar.value:.4g} {bar.unit} "
                f"(bar: {bar.limit:g} {bar.unit}) {verdict}"
            )
        for note in finding.notes:
            console.print(f"{finding.letter}: {note}", markup=False)
    details = ", ".join(f"{name} {value}" for name, value in machine().items())
    console.print(f"on: {details}", markup=False)


def _class_table(findings: Sequence[Finding]) -> Table:
    """Counts next to the verdict: a class that holds after few checks proves little."""
    table = Table(title="The cancel guarantee")
    for name in ("class", "checks", "broken", "p50 ms", "p99 ms", "max ms", "verdict"):
        table.add_column(name, justify="left" if name in {"class", "verdict"} else "right")
    for finding in findings:
        verdict = "[green]holds[/green]" if finding.holds else "[red]BROKEN[/red]"
        latency = _cells(Latency.of(finding.latencies_ms))
        name = f"{finding.letter}  {finding.title}"
        table.add_row(name, f"{finding.checks:,}", str(finding.violations), *latency, verdict)
    return table


def _rows_table(finding: Finding) -> Table:
    table = Table(title=f"{finding.letter}  {finding.title}")
    for name in ("statement", "times", "p50 ms", "p99 ms", "max ms", ""):
        table.add_column(name, justify="left" if name in {"statement", ""} else "right")
    for row in finding.rows:
        table.add_row(row.name, str(row.latency.count), *_cells(row.latency), row.note)
    return table


def _cells(latency: Latency) -> list[str]:
    values = (latency.p50_ms, latency.p99_ms, latency.max_ms)
    return ["-" if math.isnan(value) else f"{value:.1f}" for value in values]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
