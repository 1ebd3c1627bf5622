"""`python -m tests.simulation [--first N] [--count N] [--jobs N]`: play many seeds.

Prints and shrinks what breaks. `--put clock`, `--put settling` or `--put replies` puts a fault of
the past back. Exits with 1 when anything was violated.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context

import structlog

from tests.simulation.schedule import generate, shrink
from tests.simulation.world import Put, simulate

PUTS = {
    "nothing": Put(),
    "clock": Put(own_clocks=True),
    "settling": Put(settles_itself=True),
    "replies": Put(forgets_lost_replies=True),
}
_SHARE = 50
"""Seeds that a process plays before it takes others: it collects its garbage between them."""


def main() -> int:
    """Play seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--put", choices=PUTS, default="nothing")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.count)
    shares = [seeds[start : start + _SHARE] for start in range(0, len(seeds), _SHARE)]
    broken, played, began_s = 0, 0, time.monotonic()
    with get_context("fork").Pool(options.jobs, _prepare) as processes:
        play = partial(_play, PUTS[options.put])
        for share, found in zip(shares, processes.imap(play, shares), strict=True):
            broken, played = broken + len(found), played + len(share)
            for one in found:
                print(one, flush=True)
            if played % 500 == 0:
                print(f"{played} schedules, {broken} broken", file=sys.stderr, flush=True)
    duration_s = time.monotonic() - began_s
    print(f"{options.count} schedules, {broken} with violations, {duration_s:.0f} s")
    return 1 if broken else 0


def _prepare() -> None:
    """Nothing is logged, and what is imported is not looked through for garbage."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.freeze()
    gc.disable()


def _play(put: Put, seeds: range) -> list[str]:
    found = list(_broken(put, seeds))
    gc.collect()
    return found


def _broken(put: Put, seeds: range) -> Iterator[str]:
    """What each seed violates, with the smallest schedule that does."""
    for seed in seeds:
        schedule = generate(seed)
        if violations := simulate(schedule, put):
            smallest = shrink(schedule, lambda one: bool(simulate(one, put)))
            yield f"{violations}\nshrunk to: {smallest}\n{simulate(smallest, put)}\n"


if __name__ == "__main__":
    sys.exit(main())
