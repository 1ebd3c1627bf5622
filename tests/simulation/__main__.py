"""`python -m tests.simulation [--first N] [--count N]`: play many seeds; print and shrink what
breaks. `--put clock`, `--put settling` or `--put replies` puts a fault of the past back. Exits with
1 when anything was violated."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import structlog

from tests.simulation.schedule import generate, shrink
from tests.simulation.world import Put, simulate

PUTS = {
    "nothing": Put(),
    "clock": Put(own_clocks=True),
    "settling": Put(settles_itself=True),
    "replies": Put(forgets_lost_replies=True),
}


def main() -> int:
    """Play seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--put", choices=PUTS, default="nothing")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    put, broken, began_s = PUTS[options.put], 0, time.monotonic()
    for seed in range(options.first, options.first + options.count):
        if seed > options.first and (seed - options.first) % 500 == 0:
            print(f"{seed - options.first} schedules", file=sys.stderr, flush=True)
        schedule = generate(seed)
        if violations := simulate(schedule, put):
            broken += 1
            smallest = shrink(schedule, lambda one: bool(simulate(one, put)))
            print(f"{violations}\nshrunk to: {smallest}\n{simulate(smallest, put)}\n", flush=True)
    duration_s = time.monotonic() - began_s
    print(f"{options.count} schedules, {broken} with violations, {duration_s:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
