"""Every bound of the server, in one place."""

from __future__ import annotations

from dataclasses import dataclass

MAX_HEAD_BYTES = 32 * 1024
"""Request line and headers."""
MAX_HEADER_LINES = 100
MAX_TARGET_BYTES = 16 * 1024
MAX_METHOD_BYTES = 32
MAX_CHUNK_LINE_BYTES = 256
"""The size of a chunk, with its extensions, which are ignored."""
MAX_CHUNK_DIGITS = 8
"""Up to 4 GiB in one chunk. Bodies are limited by whoever reads them."""
FREE_CHUNKS = 1024
MIN_CHUNK_BYTES = 32
"""Chunks may be smaller than this on average while there are no more than `FREE_CHUNKS`."""
MAX_TRAILER_BYTES = 4 * 1024
READ_BYTES = 32 * 1024
"""Read from a socket at once: what a connection holds beyond its head and its unread body."""
BODY_HIGH_WATER_BYTES = 64 * 1024
"""Of a body that the app has not read yet. Then the socket is not read any more."""
WRITE_HIGH_WATER_BYTES = 128 * 1024
"""Of a response that the peer has not read yet. Then the app waits."""
NOT_SENT_LOW_WATER_BYTES = 128 * 1024
"""The same in the kernel (TCP_NOTSENT_LOWAT): it takes no more than this in advance."""
DRAIN_BYTES = 64 * 1024
"""Rest of a body that nobody read. More is not awaited: the connection closes."""
LINGER_S = 2.0
LINGER_BYTES = 1024 * 1024
"""After a refusal the peer may send this much, for this long, so that it gets to read why."""
KNOWN_PER_TICK = 16
STRANGERS_PER_TICK = 8
"""Requests that begin in one turn of the event loop, of callers who were authorized lately and of
others. The loop does its other work in between: leases, heartbeats, cancels in progress."""
MAX_KNOWN_CALLERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What an installation can set. See `[server]` in the settings."""

    header_timeout_s: float = 10.0
    """From the first byte of a request, or from the connection, until its head is whole."""
    idle_timeout_s: float = 75.0
    """Between two requests of a connection."""
    min_rate_bytes_per_s: int = 1024
    """The least that a body, or a response being read, must move on average over a window."""
    rate_window_s: float = 20.0
    max_connections: int = 4096
    max_connections_per_address: int = 512
