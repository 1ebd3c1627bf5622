"""Generated expressions put to a real Trino and to us; what differs is printed, by its cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from queryrun.errors import RunFailed
from queryrun.sql.trino.compile_queries import REGISTERED
from queryrun.sql.trino.translate import Request, read, translate
from tests.conformance.generate import EMPTY, statements
from tests.conformance.sides import BoundedSide
from tests.differential import compare
from tests.differential.trino_client import TrinoClient, TrinoResult

assert REGISTERED, "importing it makes every function known"
_AGGREGATED = re.compile(r"avg|sum|stddev|var|corr|covar|regr|geometric|skew|kurt|entropy", re.I)
_TOLERANCE, _AGGREGATED_TOLERANCE = 1e-13, 1e-7


@dataclass(slots=True)
class Found:
    """What came out: `both` were compared, one by one; `differences` have expression and cause."""

    both: int = 0
    trino_fails: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Expressions in all."""
        return self.both + self.trino_fails + self.refused.total() + len(self.failures)


def run(
    url: str, side: BoundedSide, seed: int, count: int, progress: Callable[[Found], None]
) -> Found:
    """Ask both; a statement that fails on one of them is asked again by halves."""
    found = Found()
    client = TrinoClient(url, schema="tiny", catalog="tpch")
    for prefix, items, suffix in statements(seed, count):
        taken = _taken(
            found, f"WITH t AS ({EMPTY}) SELECT {prefix.rpartition(' SELECT ')[2]}", items, suffix
        )
        _compare(found, client, side, prefix, taken, suffix)
        progress(found)
    return found


def _taken(found: Found, prefix: str, items: list[str], suffix: str) -> list[str]:
    """What is not refused here: that shows before anything runs."""
    taken = []
    for item in items:
        try:
            translate(read(f"{prefix}, {item}{suffix}"), {}, Request())
        except RunFailed as error:
            found.refused[re.sub(r"'[^']*'|\d+", "…", error.failure.message)[:120]] += 1
        else:
            taken.append(item)
    return taken


def _compare(
    found: Found, client: TrinoClient, side: BoundedSide, prefix: str, items: list[str], suffix: str
) -> None:
    if not items:
        return
    sql = ", ".join([prefix, *items]) + suffix
    trino = client.query(sql)
    if trino.error:
        if len(items) == 1:
            found.trino_fails += 1
            return
        for half in (items[: len(items) // 2], items[len(items) // 2 :]):
            _compare(found, client, side, prefix, half, suffix)
        return
    _compare_ours(found, trino, side, prefix, items, suffix)


def _compare_ours(
    found: Found, trino: TrinoResult, side: BoundedSide, prefix: str, items: list[str], suffix: str
) -> None:
    ours = side.run(", ".join([prefix, *items]) + suffix)
    keys = len(trino.columns) - len(items)
    if ours.failure and len(items) == 1:
        note = f"{ours.failure.code}: {ours.failure.message}"
        if "not supported" in note:
            found.refused[note[:120]] += 1
        else:
            found.failures.append((items[0], note))
        return
    if ours.failure:
        middle = len(items) // 2
        _compare_ours(found, _part(trino, keys, 0, middle), side, prefix, items[:middle], suffix)
        rest = _part(trino, keys, middle, len(items))
        _compare_ours(found, rest, side, prefix, items[middle:], suffix)
        return
    for number, item in enumerate(items, keys):
        found.both += 1
        tolerance = _AGGREGATED_TOLERANCE if _AGGREGATED.search(item) else _TOLERANCE
        (_, kind), our_kind = trino.columns[number], ours.kinds[number]
        note = "" if compare.same_type(kind, our_kind) else f"type: Trino {kind}, we {our_kind}"
        note = note or _difference(trino.rows, ours.rows, number, our_kind, tolerance)
        if note:
            found.differences.append((item, note))


def _part(trino: TrinoResult, keys: int, start: int, end: int) -> TrinoResult:
    """The keys and some of the columns of a result."""
    chosen = [*range(keys), *range(keys + start, keys + end)]
    rows = [[row[n] for n in chosen] for row in trino.rows]
    return TrinoResult([trino.columns[n] for n in chosen], rows)


def _difference(
    rows: list[list[object]], ours: object, number: int, kind: object, tolerance: float
) -> str:
    try:
        return compare.differences(
            [[row[number]] for row in rows],
            [[row[number]] for row in ours],  # type: ignore[attr-defined]
            [kind],  # type: ignore[list-item]
            is_ordered=True,
            tolerance=tolerance,
        )
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        return f"not comparable: {type(error).__name__} {error}"


def report(found: Found) -> str:
    """Everything that is not as in Trino."""
    lines = [
        f"{found.count:,} expressions: {found.both:,} compared, {len(found.differences):,} "
        f"different; {found.refused.total():,} refused, {len(found.failures):,} failed here alone, "
        f"{found.trino_fails:,} failed in Trino"
    ]
    lines += [f"different: {item}\n    {note[:300]}" for item, note in found.differences]
    lines += [f"failed: {item}\n    {note[:300]}" for item, note in found.failures]
    lines += [f"{count:6} refused: {what}" for what, count in found.refused.most_common()]
    return "\n".join(lines) + "\n"


def write_report(found: Found, output: Path) -> None:
    """The report as a file."""
    output.write_text(report(found), "utf-8")
