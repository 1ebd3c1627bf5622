"""Attacks of strangers: connections and bytes, without a token."""

from __future__ import annotations

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, memory_mib
from tests.attack.wire import HEALTH, connect, flood, waiting_for_health

MEGABYTE = 10**6


@attack(
    "front",
    "one header of 60 MB",
    before="13.6 s",
    bar=0.5,
    unit="s of stalled /healthz",
)
def one_large_header(targets: Targets) -> Outcome:
    """One header line that does not end."""
    server = targets.shared()
    with waiting_for_health(server) as waits, connect(server) as stream:
        flood(stream, HEALTH + b"X: " + b"a" * (60 * MEGABYTE) + b"\r\n\r\n")
    return Outcome(waits.longest_s, remark=f"{memory_mib(server):.0f} MiB resident")
