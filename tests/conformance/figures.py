"""What the judge found, as figures: written by `judge --figures`, read by the page of SQL."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from queryrun.sql.compile.catalog import trino_functions
from tests.conformance.extract import Statement
from tests.conformance.reasons import reason
from tests.conformance.report import causes, table
from tests.conformance.verdicts import (
    BOTH_FAIL,
    DIFFERENT,
    EQUAL,
    ONLY_WE,
    REFUSED,
    WRONG_ERROR,
    Verdict,
)

FIGURES = Path(__file__).parent / "figures.json"
_CALL = re.compile(r'(?:^|[^\w."])"?(\w+)"?\s*\(')


def write_figures(statements: Sequence[Statement], verdicts: Mapping[str, Verdict]) -> None:
    """The table, every cause of what is left over with its count, and the same by function."""
    left = {
        kind: [[what, len(found)] for what, found in causes(statements, verdicts, kind)]
        for kind in (DIFFERENT, WRONG_ERROR, ONLY_WE, REFUSED)
    }
    figures = {
        "table": table(statements, verdicts),
        "left": left,
        "functions": _by_function(statements, verdicts),
    }
    FIGURES.write_text(json.dumps(figures, indent=0, ensure_ascii=False) + "\n", "utf-8")


def _by_function(
    statements: Sequence[Statement], verdicts: Mapping[str, Verdict]
) -> dict[str, list[int]]:
    """Of the statements that call a function: all, alike, refused, the rest."""
    known = set(trino_functions())
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for statement in statements:
        one = verdicts.get(statement.key)
        for name in {match.lower() for match in _CALL.findall(statement.sql)} & known:
            if one is not None:
                counts[name][one.verdict] += 1
    return {name: _row(counts[name]) for name in sorted(counts)}


def _row(counts: Counter[str]) -> list[int]:
    alike, refused = counts[EQUAL] + counts[BOTH_FAIL], counts[REFUSED]
    return [counts.total(), alike, refused, counts.total() - alike - refused]


def page_lines() -> list[str]:
    """The section of the page."""
    figures: dict[str, Any] = json.loads(FIGURES.read_text("utf-8"))
    lines = [
        "## Trino's own tests\n",
        "Every statement with constant text in Trino's published test sources and documentation, "
        "executed by a real Trino 476 and by DuckDB behind this dialect: `make trino-conformance`. "
        "Names, types, rows and failures are compared. *Both fail* says that both do, "
        "not that the words are the same. *Alike* is equal or both fail. Left out are statements "
        "that ask Trino's connector `tpch` for what files do not have: its hidden column "
        "`row_number` and its schemas `sf1`, `sf10000` and the like.\n",
        "What is a statement at all is compared with Trino's own parser, on the same statements "
        "changed token by token: `make trino-syntax`.\n",
        *figures["table"],
        "",
        *_again(figures.get("again", {})),
    ]
    for kind, found in figures["left"].items():
        lines += _causes(kind, found)
    return [*lines, *_functions(figures["functions"])]


def _again(figures: Mapping[str, Any]) -> list[str]:
    """What a later and smaller run found, until the next whole one replaces both."""
    if not figures:
        return []
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in figures["counts"].items())
    return [
        f"The table is of an earlier state of the sources. On {figures['day']} the first "
        f"{figures['size']:,} by their digests, of all kinds, were asked and judged again: "
        f"{counts}, and nothing else.\n"
    ]


def _causes(kind: str, found: list[list[Any]]) -> list[str]:
    total = sum(count for _, count in found)
    if not total:
        return [f"### {kind[0].upper()}{kind[1:]}: none\n"]
    if kind in {REFUSED, ONLY_WE}:
        rows = [f"| {count} | {_cell(what)} | {reason(kind, what)} |" for what, count in found]
        head = "| n | | why |\n|---:|---|---|"
    else:
        rows = [f"| {count} | {_cell(what)} |" for what, count in found]
        head = "| n | |\n|---:|---|"
    return [f"### {kind[0].upper()}{kind[1:]}: {total:,}, by cause\n", head, *rows, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _functions(functions: Mapping[str, list[int]]) -> list[str]:
    alike = [name for name, row in functions.items() if row[0] == row[1]]
    rows = [
        f"| `{name}` | {' | '.join(map(str, row))} |"
        for name, row in functions.items()
        if row[0] != row[1]
    ]
    return [
        "### By function\n",
        f"In all statements that call them, {len(alike)} functions come out alike: "
        + ", ".join(f"`{name}`" for name in alike)
        + ". The others:\n",
        "| function | statements | alike | refused | else |\n|---|---:|---:|---:|---:|",
        *rows,
        "",
    ]
