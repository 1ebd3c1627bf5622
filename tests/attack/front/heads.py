"""Heads that are too large, too long or never whole."""

from __future__ import annotations

from collections.abc import Iterator

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, memory_mib
from tests.attack.wire import HEALTH, connect, exchange, flood, status_of, waiting_for_health
from tests.e2e.conftest import Server

MEGABYTE = 10**6


def _stalled_s(server: Server, sent: bytes, connections: int = 1) -> Outcome:
    before_mib = memory_mib(server)
    with waiting_for_health(server) as waits:
        for _ in range(connections):
            with connect(server) as stream:
                flood(stream, sent)
    grown_mib = memory_mib(server) - before_mib
    return Outcome(waits.longest_s, connections, f"{grown_mib:+.0f} MiB, {waits.count} probes")


@attack("front", "a header of 60 MB", before="13.6 s", bar=0.5, unit="s of stalled /healthz")
def one_large_header(targets: Targets) -> Outcome:
    """One header line that does not end."""
    return _stalled_s(targets.shared(), HEALTH + b"X: " + b"a" * (60 * MEGABYTE) + b"\r\n\r\n")


@attack("front", "a URL of 100 MB", before="13.8 s", bar=0.5, unit="s of stalled /healthz")
def one_large_url(targets: Targets) -> Outcome:
    """A path, and a query."""
    size = 20 * MEGABYTE if targets.quick else 100 * MEGABYTE
    rest = b" HTTP/1.1\r\nHost: x\r\n\r\n"
    path = _stalled_s(targets.shared(), b"GET /" + b"a" * size + rest)
    query = _stalled_s(targets.shared(), b"GET /healthz?" + b"a=b&" * (size // 4) + rest)
    return Outcome(max(path.value, query.value), 2, f"{path.remark}; {query.remark}")


@attack(
    "front",
    "24 MB of header lines, ten times",
    before="43 (1,170 at once)",
    bar=20,
    unit="MiB more resident",
)
def many_header_lines(targets: Targets) -> Outcome:
    """Lines that are small, and many; then small and without a colon."""
    server = targets.fresh()
    exchange(server, HEALTH + b"Connection: close\r\n\r\n")
    before_mib = memory_mib(server)
    for line in (b"A: b\r\n", b"a\r\n"):
        for _ in range(5):
            with connect(server) as stream:
                flood(stream, HEALTH + line * (24 * MEGABYTE // len(line)))
    return Outcome(max(0.0, memory_mib(server) - before_mib), 10)


def _too_large() -> Iterator[tuple[int, bytes]]:
    """The status that each has to get, and its bytes; none of them ends."""
    yield 431, HEALTH + b"X: " + b"a" * 40_000
    yield 431, HEALTH + b"X: y\r\n" * 101
    yield 431, HEALTH + b"X" * 40_000
    yield 431, HEALTH + b"Cookie: " + b"a=b; " * 10_000
    yield 414, b"GET /" + b"a" * 20_000
    yield 414, b"GET /?" + b"a" * 20_000
    yield 414, b"GET /" + b"%41" * 8_000
    yield 414, b"GET http://x/" + b"a" * 20_000
    yield 400, b"a" * 20_000


@attack("front", "heads beyond the limits", before="16 of 18 read", bar=0, unit="not refused")
def large_heads_are_refused(targets: Targets) -> Outcome:
    """Whole ones, and ones that never end: the right status, and the connection closes."""
    server = targets.shared()
    wrong = []
    for status, beginning in _too_large():
        for sent in (beginning, beginning + b"\r\n\r\n" + HEALTH + b"\r\n"):
            response = exchange(server, sent, timeout_s=6)
            is_refused = status_of(response) == status and response.count(b"HTTP/1.1") == 1
            if not is_refused or b"connection: close" not in response:
                wrong.append(f"{status}: {response[:40]!r}")
    return Outcome(len(wrong), 2 * len(list(_too_large())), "; ".join(wrong))
