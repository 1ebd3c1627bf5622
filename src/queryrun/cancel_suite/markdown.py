"""Reports of the suite as Markdown tables (docs/cancel.md#what-was-measured).

    python -m queryrun.cancel_suite.markdown report.json [report.json ...]

The rows of class C come from the first report; limits are listed side by side.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Report = dict[str, Any]


def main(paths: Sequence[str]) -> None:
    """Print the tables of the reports."""
    reports: list[Report] = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    for number, report in enumerate(reports, start=1):
        details = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
        print(f"Run {number}: {details}\n")
        print("\n".join(class_table(report)), "\n")
    print("\n".join(bar_table(reports)), "\n")
    print("\n".join(row_table(reports[0])))


def class_table(report: Report) -> Iterator[str]:
    """One line per class."""
    yield "| class | checks | broken | p50 ms | p99 ms | max ms | verdict |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for one in report["classes"]:
        verdict = "holds" if one["holds"] else _what_broke(one)
        counts = f"{one['checks']:,} | {one['violations']}"
        yield f"| {one['class']} {one['title']} | {counts} | {_cells(one['latency'])} | {verdict} |"


def bar_table(reports: Sequence[Report]) -> Iterator[str]:
    """One line per bar, one column per report that has it."""
    found: dict[str, list[str]] = {}
    limits: dict[str, str] = {}
    for number, report in enumerate(reports):
        for one in report["classes"]:
            for bar in one["bars"]:
                name = f"{one['class']}: {bar['name']}"
                cells = found.setdefault(name, ["–"] * len(reports))
                cells[number] = _number(bar["value"]) + ("" if bar["holds"] else " **missed**")
                limits[name] = f"{bar['limit']:g} {bar['unit']}".strip()
    yield "| bar | limit | " + " | ".join(f"run {n + 1}" for n in range(len(reports))) + " |"
    yield "|---|---:|" + "---:|" * len(reports)
    for name, cells in found.items():
        yield f"| {name} | {limits[name]} | " + " | ".join(cells) + " |"


def row_table(report: Report) -> Iterator[str]:
    """One line per statement of class C."""
    yield "| statement | times | p50 ms | p99 ms | max ms | stopped by, and stage |"
    yield "|---|---:|---:|---:|---:|---|"
    for one in report["classes"]:
        if one["class"] == "C":
            for row in one["rows"]:
                cells = _cells(row["latency"])
                yield f"| {row['name']} | {row['latency']['count']} | {cells} | {row['note']} |"


def _what_broke(one: Report) -> str:
    """Whether a guarantee was broken, or only a time limit was missed."""
    return "**broken**" if one["violations"] else "holds, a time limit missed"


def _cells(latency: Report | None) -> str:
    if not latency or not latency["count"]:
        return "– | – | –"
    return " | ".join(_number(latency[name]) for name in ("p50_ms", "p99_ms", "max_ms"))


def _number(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
