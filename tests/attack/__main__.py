"""`python -m tests.attack [GROUP ...]`: run every attack and print the table."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tests.attack.registry import GROUPS, Attack, Outcome, attacks
from tests.attack.targets import Targets


def main(groups: list[str]) -> int:
    """Run the attacks of these groups, or of all. 1 when one was not withstood."""
    unknown = set(groups) - set(GROUPS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    chosen = [one for one in attacks() if not groups or one.group in groups]
    tried = escapes = 0
    print("| group | attack | before | now | bar | holds |\n|---|---|---|---|---|---|")
    for one in chosen:
        targets = Targets(quick=False)
        try:
            row, outcome = run_one(one, targets)
        finally:
            targets.close()
        print(row, flush=True)
        tried += outcome.tried if outcome else 1
        escapes += outcome is None or not one.holds(outcome)
    print(f"\n{len(chosen)} attacks, {tried} tries, {escapes} not withstood")
    return 1 if escapes else 0


def run_one(one: Attack, targets: Targets) -> tuple[str, Outcome | None]:
    """The attack's row of the table, and its outcome; None when it ended in an error."""
    began_s = time.monotonic()
    try:
        with _bounded(one.timeout_s):
            outcome = one.run(targets)
    except Exception as error:  # an attack that cannot be judged is not withstood
        now, holds, found = f"{type(error).__name__}: {str(error)[:200]}", "NO", None
    else:
        remark = f" ({outcome.remark})" if outcome.remark else ""
        now, holds, found = f"{outcome.value:.3g}{remark}", "yes", outcome
        if not one.holds(outcome):
            holds = "NO"
    cells = (one.group, one.name, one.before, now, f"{one.bar:g} {one.unit}", holds)
    text = "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
    print(f"{one.name}: {time.monotonic() - began_s:.1f} s", file=sys.stderr)
    return text, found


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not finished within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
