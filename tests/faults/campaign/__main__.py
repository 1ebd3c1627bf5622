"""`python -m tests.faults.campaign [--count N] [--jobs N] [--seconds S] [--store S] [--fault WORD]`

Plays every fault at every moment of a run's life, on both stores, again with other seeds until
`count` cases have been played, and prints a table. What was played is recorded beside `--record`,
and is not played again: a campaign can be ended and continued. Exits with 1 when an invariant was
violated.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count as counting
from pathlib import Path

from tests.faults.campaign.faults import FAULTS, Fault
from tests.faults.campaign.moments import MOMENTS, Moment
from tests.faults.campaign.play import Outcome, play
from tests.faults.campaign.site import SITES, Site

PER_SITE = 150
"""Cases on one site, before a new one: the next begins without what these left in the database."""


def cells(store: str, fault_word: str, moment_word: str) -> list[tuple[Fault, Moment]]:
    """Every fault of the store at every moment."""
    return [
        (fault, moment)
        for fault in FAULTS
        if store in fault.stores and fault_word in fault.name
        for moment in MOMENTS
        if moment_word in moment.name
    ]


def name_of(store: str, fault: Fault, moment: Moment, seed: int) -> str:
    """A case's name in the record."""
    return f"{store} | {fault.name} | {moment.name} | {seed}"


def main() -> int:
    """Play, and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with it
    options = _options()
    options.record.parent.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    if options.jobs:
        _play_in_processes(options)
    else:
        done = _recorded(options.record)
        for store in options.store.split(","):
            _play_store(store, options, done)
        if options.part != "0/1":
            return 0
    print(f"{time.monotonic() - began_s:.0f} s")
    return _print_table(_recorded(options.record))


def _play_in_processes(options: argparse.Namespace) -> None:
    """Each process has a site of its own: most of a case is waiting."""
    program = [sys.executable, "-m", "tests.faults.campaign"]
    share = str(options.count // len(options.store.split(",")))
    common = ["--fault", options.fault, "--moment", options.moment, "--first", str(options.first)]
    common += ["--count", share, "--seconds", str(options.seconds), "--record", str(options.record)]
    parts = [
        subprocess.Popen([*program, *common, "--store", store, "--part", f"{part}/{options.jobs}"])
        for store in options.store.split(",")
        for part in range(options.jobs)
    ]
    try:
        for process in parts:
            process.wait()
    finally:
        for process in parts:
            process.terminate()
        for process in parts:
            process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--store", default="sqlite,postgres")
    parser.add_argument("--fault", default="")
    parser.add_argument("--moment", default="")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=0, help="sites of each store at the same time")
    parser.add_argument("--part", default="0/1", help="play part I of N alone")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--record", type=Path, default=Path(".cache/faults/record.jsonl"))
    return parser.parse_args()


def _recorded(path: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for file in path.parent.glob(f"{path.stem}*{path.suffix}"):
        lines = file.read_text().splitlines()
        found |= {one["case"]: one for one in map(json.loads, lines)}
    return found


def _play_store(
    store: str, options: argparse.Namespace, done: dict[str, dict[str, object]]
) -> None:
    part, parts = map(int, options.part.split("/"))
    path = options.record.with_name(f"{options.record.stem}-{store}-{part}{options.record.suffix}")
    remaining = _remaining(store, options, done, part, parts)
    deadline = time.monotonic() + options.seconds
    while time.monotonic() < deadline and (batch := _next(remaining, PER_SITE)):
        with tempfile.TemporaryDirectory(prefix="qr-faults-", ignore_cleanup_errors=True) as root:
            _play_batch(store, Path(root), batch, path, deadline)


def _remaining(
    store: str,
    options: argparse.Namespace,
    done: dict[str, dict[str, object]],
    part: int,
    parts: int,
) -> Iterator[tuple[Fault, Moment, int]]:
    """The cases that were not played, seed after seed."""
    number = 0
    share = options.count / len(options.store.split(","))
    for seed in counting(options.first):
        order = cells(store, options.fault, options.moment)
        random.Random(seed).shuffle(order)  # noqa: S311 - a campaign that is cut short has met all
        for fault, moment in order:
            number += 1
            if number > share:
                return
            if number % parts == part and name_of(store, fault, moment, seed) not in done:
                yield fault, moment, seed


def _next(
    remaining: Iterator[tuple[Fault, Moment, int]], size: int
) -> list[tuple[Fault, Moment, int]]:
    return [one for one, _ in zip(remaining, range(size), strict=False)]


def _play_batch(
    store: str, root: Path, batch: list[tuple[Fault, Moment, int]], path: Path, deadline: float
) -> None:
    with SITES[store](root, batch[0][2]) as site, path.open("a") as record:
        for fault, moment, seed in batch:
            if time.monotonic() > deadline:
                return
            site.dice.seed(f"{seed} {fault.name} {moment.name}")
            began_s = time.monotonic()
            position = site.log_size()
            outcome = _play(site, fault, moment)
            case = name_of(store, fault, moment, seed)
            line = {
                "case": case,
                "runs": outcome.runs,
                "refused": outcome.refused,
                "hits": outcome.hits,
                "seconds": round(time.monotonic() - began_s, 2),
                "violations": outcome.violations,
            }
            record.write(json.dumps(line) + "\n")
            record.flush()
            if outcome.violations:
                kept = path.with_suffix(f".{int(began_s * 1000)}.log")
                kept.write_text(f"{case}\n{site.logged_since(position)}")
                print(f"{case} ({kept.name})\n    " + "\n    ".join(outcome.violations), flush=True)
                return  # a new site: what is wrong now would be charged to the next case


def _play(site: Site, fault: Fault, moment: Moment) -> Outcome:
    try:
        return play(site, fault, moment)
    except Exception as error:
        return Outcome(0, 0, 0, (f"the case broke: {type(error).__name__}: {error}"[:600],))


def _print_table(played: dict[str, dict[str, object]]) -> int:
    cases, runs, hits, broken = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    faults: defaultdict[str, None] = defaultdict(lambda: None)
    for case, line in played.items():
        store, fault, *_ = case.split(" | ")
        key = f"{fault} ({store})"
        faults[key]
        cases[key] += 1
        runs[key] += int(str(line["runs"]))
        hits[key] += int(str(line["hits"]))
        broken[key] += bool(line["violations"])
    print(f"{'fault':55} {'cases':>6} {'runs':>6} {'failed calls':>12} {'violations':>10}")
    for key in sorted(faults):
        print(f"{key:55} {cases[key]:6} {runs[key]:6} {hits[key]:12} {broken[key]:10}")
    total = f"{cases.total():6} {runs.total():6} {hits.total():12} {broken.total():10}"
    print(f"{'all':55} {total}")
    return 1 if broken.total() else 0


if __name__ == "__main__":
    sys.exit(main())
