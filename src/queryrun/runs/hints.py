"""The Hints protocol: how nodes on one database tell each other at once that a run has changed.

A hint may be lost, come twice, or come late: it only says where to look. Whatever must happen is
found without it too, by the poll of the dispatcher, by lease extensions, by waits that look again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from queryrun.runs.state import RunState

Heard = Callable[[Sequence[tuple[str, RunState]] | None], None]
"""Called on the event loop with runs that other nodes have changed, and the states they gave them;
None: hints may have been lost, anything may have changed. Must not block or raise."""


class Hints(Protocol):
    """Tells other nodes, and hears from them."""

    @property
    def healthy(self) -> bool:
        """Whether hints arrive at the moment."""
        ...

    def start(self, heard: Heard, /) -> None:
        """Begin to listen, on the running event loop; not heard are a node's own hints."""
        ...

    def publish(self, run_id: str, state: RunState) -> None:
        """Tell the others soon. Returns at once; dropped while the database is away."""
        ...

    async def close(self) -> None:
        """Stop listening and telling. Idempotent."""
        ...


class NoHints:
    """A node that owns its database alone has nobody to tell."""

    healthy = True

    def start(self, heard: Heard, /) -> None:
        """Nothing will ever be heard."""

    def publish(self, run_id: str, state: RunState) -> None:
        """Nobody to tell."""

    async def close(self) -> None:
        """Nothing to end."""
