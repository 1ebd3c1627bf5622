"""Runs the whole suite on a Spark: `python -m tests.differential.spark --url sc://host:port`.

Prints what is equal, refused and different for each group, and every difference. `--record` writes
down what each statement came to, with a digest of its translation: where there is no Spark, the
tests compare that (`spark_record.json`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from queryrun.sql.spark.translate import SparkTables
from tests.differential.outcome import DIFFERENT, EQUAL, REFUSED, Outcome, outcome
from tests.differential.spark_record import RECORD, digest, key_of, read_record, write_record
from tests.differential.spark_side import SparkSide, spark_sides
from tests.differential.suite import Case, cases, recorded

_AT_ONCE = 4
"""Most of a small statement's time is spent waiting."""
_BATCH_SIZE = 20
"""So many are asked before anything is printed and recorded."""


def outcomes_on(sides: Mapping[str, SparkSide], chosen: Sequence[Case]) -> dict[str, Outcome]:
    """The outcome of each of these statements, by the case's id."""
    recorded_results = recorded()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda case: outcome(case, recorded_results, sides), chosen)
        return {case.id: one for case, one in zip(chosen, found, strict=True)}


def report(outcomes: Mapping[str, Outcome], suite: list[Case]) -> str:
    """A line for each group, and the differences."""
    lines = []
    for group in dict.fromkeys(case.group for case in suite):
        counts = Counter(outcomes[case.id].verdict for case in suite if case.group == group)
        lines.append(_counted(group, counts))
    lines.append(_counted("all", Counter(found.verdict for found in outcomes.values())))
    lines += [
        f"{case.id}: {case.sql}\n    {outcomes[case.id].note}"
        for case in suite
        if outcomes[case.id].verdict == DIFFERENT
    ]
    return "\n".join(lines)


def _counted(name: str, counts: Counter[str]) -> str:
    return f"{name:20}" + "".join(f" {counts[v]:5} {v}" for v in (EQUAL, REFUSED, DIFFERENT))


def _not_recorded(suite: Sequence[Case], tables: Mapping[str, SparkTables]) -> list[Case]:
    """Those that no Spark has run, or whose translation has changed since."""
    known = read_record().entries if RECORD.exists() else {}
    return [
        case
        for case in suite
        if (entry := known.get(key_of(case))) is None
        or entry.verdict == DIFFERENT
        or entry.digest != digest(case, tables[case.schema])
    ]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="a Spark Connect server that runs already")
    parser.add_argument("--group", action="append", help="only this group of statements")
    parser.add_argument("--refused", action="store_true", help="print what is refused, too")
    parser.add_argument("--record", action="store_true", help="ask what has changed, and record")
    options = parser.parse_args()
    recorded_results = recorded()
    suite = [
        c for c in cases() if c.sql in recorded_results and c.group in (options.group or [c.group])
    ]
    with tempfile.TemporaryDirectory() as made, spark_sides(options.url, Path(made)) as sides:
        tables = {name: side.tables() for name, side in sides.items()}
        suite = _not_recorded(suite, tables) if options.record else suite
        for start in range(0, len(suite), _BATCH_SIZE):
            batch = suite[start : start + _BATCH_SIZE]
            outcomes = outcomes_on(sides, batch)
            print(report(outcomes, batch), flush=True)
            for case in batch if options.refused else ():
                if outcomes[case.id].verdict == REFUSED:
                    print(f"refused {case.id}: {case.sql}\n    {outcomes[case.id].note}")
            if options.record:
                write_record(batch, outcomes, tables)


if __name__ == "__main__":
    main()
