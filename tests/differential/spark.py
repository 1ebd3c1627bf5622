"""Runs the whole suite on a Spark: `python -m tests.differential.spark --url sc://host:port`.

Prints what is equal, refused and different for each group, and every difference.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.differential.outcome import DIFFERENT, EQUAL, REFUSED, Outcome, outcome
from tests.differential.spark_side import spark_sides
from tests.differential.suite import Case, cases, recorded

_AT_ONCE = 4
"""Most of a small statement's time is spent waiting."""


def run_on_spark(url: str, directory: Path, chosen: Iterable[Case]) -> dict[str, Outcome]:
    """The outcome of each of these statements on the server at `url`, by the case's id."""
    answers, wanted = recorded(), list(chosen)
    with spark_sides(url, directory) as sides, ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda case: outcome(case, answers, sides), wanted)
        return {case.id: one for case, one in zip(wanted, found, strict=True)}


def report(outcomes: Mapping[str, Outcome], suite: list[Case]) -> str:
    """A line for each group, and the differences."""
    lines = []
    for group in dict.fromkeys(case.group for case in suite):
        counts = Counter(outcomes[case.id].verdict for case in suite if case.group == group)
        lines.append(_counted(group, counts))
    lines.append(_counted("all", Counter(found.verdict for found in outcomes.values())))
    for case in suite:
        if outcomes[case.id].verdict == DIFFERENT:
            lines.append(f"{case.id}: {case.sql}\n    {outcomes[case.id].note}")
    return "\n".join(lines)


def _counted(name: str, counts: Counter[str]) -> str:
    return f"{name:20}" + "".join(f" {counts[v]:5} {v}" for v in (EQUAL, REFUSED, DIFFERENT))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="a Spark Connect server that runs already")
    parser.add_argument("--group", help="only this group of statements")
    parser.add_argument("--refused", action="store_true", help="print what is refused, too")
    options = parser.parse_args()
    answers = recorded()
    suite = [c for c in cases() if options.group in {None, c.group} and c.sql in answers]
    with tempfile.TemporaryDirectory() as made:
        outcomes = run_on_spark(options.url, Path(made), suite)
    print(report(outcomes, suite))
    for case in suite if options.refused else ():
        if outcomes[case.id].verdict == REFUSED:
            print(f"refused {case.id}: {case.sql}\n    {outcomes[case.id].note}")


if __name__ == "__main__":
    main()
