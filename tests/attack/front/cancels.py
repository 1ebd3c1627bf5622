"""A cancel stays within its bound while strangers attack."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

from tests.attack.flood import KINDS
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, address_of
from tests.attack.wire import longest_cancel_s
from tests.e2e.conftest import Server

QUICK_KINDS = ("headers", "tokens", "churn")


def _flooding(server: Server, kind: str) -> Callable[[threading.Event], None]:
    host, port = address_of(server)
    command = [sys.executable, "-m", "tests.attack.flood", kind, host, str(port)]

    def flood(done: threading.Event) -> None:
        process = subprocess.Popen(command)
        done.wait()
        process.kill()
        process.wait()

    return flood


@attack(
    "front",
    "a cancel during every flood",
    before="19 s (bound 2 s)",
    bar=2.0,
    unit="s until canceled",
    timeout_s=600,
)
def cancels_under_floods(targets: Targets) -> Outcome:
    """The longest of all cancels, from request to `canceled`, under each kind of flood."""
    server = targets.shared()
    worst, count, each = 0.0, 0, []
    for kind in QUICK_KINDS if targets.quick else KINDS:
        waits = longest_cancel_s(server, _flooding(server, kind), runs=2 if targets.quick else 5)
        worst, count = max(worst, waits.longest_s), count + waits.count
        each.append(f"{kind} {waits.longest_s:.2f}")
    return Outcome(worst, count, ", ".join(each))
