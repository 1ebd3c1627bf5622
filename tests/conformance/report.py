"""The verdicts as a table and ranked by cause."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tests.conformance.extract import Statement
from tests.conformance.verdicts import (
    BOTH_FAIL,
    DIFFERENT,
    EQUAL,
    ONLY_WE,
    REFUSED,
    VERDICTS,
    WRONG_ERROR,
    Verdict,
)

_TITLES = {
    "queries": "query tests (`trino-testing`)",
    "functions": "functions, operators, queries (`trino-main`)",
    "documentation": "documentation (`trino-docs`)",
}


def table(statements: Sequence[Statement], verdicts: Mapping[str, Verdict]) -> list[str]:
    """How many of each kind came out how."""
    lines = [
        f"| from | n | {' | '.join(VERDICTS)} | equal or failing alike |",
        "|---|" + "---:|" * (len(VERDICTS) + 2),
    ]
    judged = [s for s in statements if s.key in verdicts]
    for kind, title in [*_TITLES.items(), ("", "**all**")]:
        counts = Counter(verdicts[s.key].verdict for s in judged if kind in {s.kind, ""})
        total = sum(counts.values())
        alike = 100 * (counts[EQUAL] + counts[BOTH_FAIL]) / max(total, 1)
        cells = " | ".join(f"{counts[one]:,}" for one in VERDICTS)
        lines.append(f"| {title} | {total:,} | {cells} | {alike:.1f} % |")
    return lines


def causes(
    statements: Sequence[Statement], verdicts: Mapping[str, Verdict], kind: str
) -> list[tuple[str, list[Statement]]]:
    """The statements of one verdict by what was said, the most frequent first."""
    found: dict[str, list[Statement]] = defaultdict(list)
    for statement in statements:
        one = verdicts.get(statement.key)
        if one and one.verdict == kind:
            found[cause(one.note)].append(statement)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def cause(note: str) -> str:
    """A message without what differs from statement to statement."""
    note = " ".join(note.split())
    note = re.sub(r"'[^']*'", "'…'", note)
    note = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\) for function", "(…) for function", note)
    return re.sub(r"\d+", "9", note)[:160]


def full(statements: Sequence[Statement], verdicts: Mapping[str, Verdict]) -> str:
    """Everything that is left over, with examples."""
    lines = table(statements, verdicts)
    for kind in (DIFFERENT, WRONG_ERROR, ONLY_WE, REFUSED):
        lines.append(f"\n=== {kind}")
        for what, found in causes(statements, verdicts, kind):
            lines.append(f"{len(found):5} {what}")
            for statement in found[: 2 if kind == REFUSED else 6]:
                note = verdicts[statement.key].note if kind != REFUSED else ""
                sql = " ".join(statement.sql.split())
                lines.append(f"        {statement.file}: {sql[:260]}")
                if kind != REFUSED:
                    lines.append(f"            -> {' '.join(note.split())[:300]}")
    return "\n".join(lines) + "\n"
