"""Ports of 127.0.0.1 for servers that need one before they start."""

from __future__ import annotations

import random
import socket
from contextlib import closing
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_CHANCE = random.SystemRandom()
"""Not the one that a test may have seeded: two processes would agree on a port."""


def free_port() -> int:
    """A port on which no process listens.

    Seconds pass until its server binds it, so it is none that the kernel would meanwhile give to a
    connection or to a process that requests any port: a random number below those.
    """
    first_of_the_kernel = int(_RANGE.read_text().split()[0])
    while True:
        port = _CHANCE.randrange(_LOWEST, first_of_the_kernel)
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
