"""`python -m tests.faults.commands [--sample] [--situation WORD] [--line WORD]`

Plays every line in every situation that concerns it, each in a process of its own, and prints what
violates the rules: a documented status, a sentence, no traceback, nothing half-made, an end. Exits
with 1 when something does.
"""

from __future__ import annotations

import argparse
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", action="store_true", help="one line of each situation")
    parser.add_argument("--situation", default="", help="situations with this in their name")
    parser.add_argument("--line", default="", help="lines with this in them")
    options = parser.parse_args()
    chosen = [
        (situation, line)
        for situation, line in cases(sample=options.sample)
        if options.situation in situation.name and options.line in line.text
    ]
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qr-commands-", ignore_cleanup_errors=True) as name:
        found = _play_all(chosen, Path(name))
    print(f"{len(chosen)} cases, {found} violations, {time.monotonic() - began_s:.0f} s")
    return 1 if found else 0


def _play_all(chosen: list[tuple[Situation, Line]], root: Path) -> int:
    template = make_template(root)
    import_everything()
    found = 0
    with bad_servers() as urls:
        urls = {"refuses": f"http://127.0.0.1:{free_port()}", **urls}
        for situation, line in chosen:
            if text := play(line, situation, root / "workspace", template, urls):
                found += 1
                print(f"{situation.name} | {line.text}\n    {text}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
