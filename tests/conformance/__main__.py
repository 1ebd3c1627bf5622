"""Trino's own statements, asked of a real Trino and of us: `make trino-conformance`.

`record` asks a Trino 476 what is not recorded yet, `judge` asks us and prints what is left over;
with `--figures` it writes the figures of the page and the sample of `make test`. `show PATTERN`
judges the statements that match, and prints each. `generate` asks Trino for expressions out of
types, functions and edge values (`generate.py`) that are not recorded yet, compares them, and
writes what differs; `compare` compares everything recorded; `syntax` asks Trino's parser and ours
about changed statements. All `fetch` the sources first.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from tests import trino_process
from tests.conformance import generated, syntax
from tests.conformance.extract import Statement, statements
from tests.conformance.fetch import CACHE, fetch, found
from tests.conformance.figures import write_figures
from tests.conformance.recorded import read_recorded, record
from tests.conformance.report import full
from tests.conformance.run import judged, our_side
from tests.conformance.sample import write_sample
from tests.conformance.verdicts import BOTH_FAIL, EQUAL, verdict

_WHATS = ("fetch", "record", "judge", "show", "generate", "compare", "syntax")
GENERATED = CACHE / "generated.txt"
_OPTIONS = trino_process.Options(
    catalogs={"tpch": "connector.name=tpch\n", "memory": trino_process.CATALOGS["memory"]},
    processors=2,
)


def main() -> None:
    """Do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=_WHATS)
    parser.add_argument("pattern", nargs="?", default=".")
    parser.add_argument("--output", type=Path, help="where `judge` writes what is left over")
    parser.add_argument("--figures", action="store_true", help="write what is committed")
    parser.add_argument(
        "--count",
        type=int,
        default=100_000,
        help="expressions to `generate`, or statements of `syntax`",
    )
    parser.add_argument("--seed", type=int, default=476)
    parser.add_argument("--every", action="store_true", help="`show` what is equal, too")
    options = parser.parse_args()
    fetch()
    everything = statements(found())
    if options.what == "fetch":
        return
    if options.what == "record":
        with trino_process.running(_OPTIONS) as url:
            record(url, everything)
    elif options.what == "generate":
        _generate(options.seed, options.count, options.output or GENERATED)
    elif options.what == "syntax":
        corpus = syntax.short([statement.sql for statement in everything])
        changed = list(syntax.changed(corpus, options.seed, options.count))
        print(syntax.report(syntax.compared(changed)))
        if options.figures:
            syntax.write_sample()
    elif options.what == "compare":
        _compare(sorted(CACHE.glob("generated-*.jsonl")), options.output or GENERATED)
    elif options.what == "show":
        _show([s for s in everything if re.search(options.pattern, s.sql, re.I)], options.every)
    else:
        verdicts = judged(everything, lambda done: print(done, flush=True))
        if options.figures:
            write_figures(everything, verdicts)
            write_sample(verdicts)
        text = full(everything, verdicts)
        print(text) if options.output is None else options.output.write_text(text)


def _generate(seed: int, count: int, output: Path) -> None:
    with trino_process.running(_OPTIONS) as url:
        generated.record(url, seed, count, lambda done: print(f"{done:,} asked", flush=True))
    _compare([generated.recording(seed)], output)


def _compare(files: Sequence[Path], output: Path) -> None:
    def progress(found: generated.Found) -> None:
        print(generated.report(found).splitlines()[0], flush=True)

    output.write_text(generated.report(generated.judge(files, progress)), "utf-8")


def _show(some: list[Statement], every: bool) -> None:
    recorded = read_recorded()
    with our_side() as side:
        for statement in some:
            trino = recorded.get(statement.key)
            one = trino and verdict(statement.sql, trino, side.run(statement.sql))
            if trino and one and (every or one.verdict not in {EQUAL, BOTH_FAIL}):
                found = trino.message[:200] if trino.error else f"{trino.columns} {trino.rows[:3]}"
                print(f"{one.verdict}: {statement.sql}\n    {one.note[:400]}\n    Trino: {found}")


if __name__ == "__main__":
    main()
