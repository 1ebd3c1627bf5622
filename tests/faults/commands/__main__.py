"""`python -m tests.faults.commands [--sample] [--situation WORD] [--line WORD] [--seconds S]`

Plays every line in every situation that concerns it, each in a process of its own, and prints what
violates the rules: a documented status, a sentence, no traceback, nothing half-made, an end. Exits
with 1 when something does.

`--seconds` ends it after a time: the order is a fixed shuffle, so what was played by then is a
sample of everything, and `--first N` goes on where another one has ended.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.commands.lines import LINES, Line
from tests.faults.commands.play import import_everything, play
from tests.faults.commands.situations import SITUATIONS, Situation
from tests.faults.commands.workspace import bad_servers, make_template
from tests.ports import free_port


def cases(*, sample: bool) -> Iterator[tuple[Situation, Line]]:
    """Every line in every situation; of a sample one line of each, another one each time."""
    for number, situation in enumerate(SITUATIONS):
        lines = [line for line in LINES if situation.applies_to(line) and is_quick(line, sample)]
        if sample:
            lines = [lines[number * 7 % len(lines)]]
        yield from ((situation, line) for line in lines)


def is_quick(line: Line, sample: bool) -> bool:
    """A demonstration runs statements for seconds, on a server of its own."""
    return not sample or line.command != "demo"


def main() -> int:
    """Play, and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its files are removed
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", action="store_true", help="one line of each situation")
    parser.add_argument("--situation", default="", help="situations with this in their name")
    parser.add_argument("--line", default="", help="lines with this in them")
    parser.add_argument("--first", type=int, default=0, help="leave out so many cases")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after this time")
    options = parser.parse_args()
    chosen = [
        (situation, line)
        for situation, line in cases(sample=options.sample)
        if options.situation in situation.name and options.line in line.text
    ]
    if not options.sample:
        random.Random(0).shuffle(chosen)  # noqa: S311 - no secret
    every, chosen = len(chosen), chosen[options.first :]
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qr-commands-", ignore_cleanup_errors=True) as name:
        played, found = _play_all(chosen, Path(name), began_s + options.seconds)
    duration_s = time.monotonic() - began_s
    print(f"{played} of {every} cases, {found} violations, {duration_s:.0f} s")
    return 1 if found else 0


def _play_all(chosen: list[tuple[Situation, Line]], root: Path, deadline: float) -> tuple[int, int]:
    """How many cases were played, and how many of them violated something."""
    template = make_template(root)
    import_everything()
    played = found = 0
    with bad_servers() as urls:
        urls = {"refuses": f"http://127.0.0.1:{free_port()}", **urls}
        for situation, line in chosen:
            if time.monotonic() > deadline:
                break
            played += 1
            if text := play(line, situation, root / "workspace", template, urls):
                found += 1
                print(f"{situation.name} | {line.text}\n    {text}", flush=True)
            if played % 100 == 0:
                print(f"{played} cases", file=sys.stderr, flush=True)
    return played, found


if __name__ == "__main__":
    sys.exit(main())
