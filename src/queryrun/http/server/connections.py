"""All open connections: how many an address may hold, and which one makes room for a new one."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Protocol

from queryrun.http.server.limits import ServerLimits


class Held(Protocol):
    """What is counted: a connection."""

    group: str
    """The address that it counts for."""
    is_trusted: bool
    """From a proxy of ours, which speaks for many."""

    def evict(self) -> None:
        """Close at once; nothing is lost, because no request is in progress."""
        ...

    def shut_down(self) -> None:
        """The server stops: close now, or after the response that is in progress."""
        ...

    def abort(self) -> None:
        """Close at once, whatever is in progress."""
        ...

    def check_time(self, now_s: float) -> None:
        """Close if the peer has made us wait too long."""
        ...


class Connections:
    """Counts connections by address and in all.

    A connection without a request in progress is idle. At a limit the one that has been idle
    longest gives way, of the same address or of any. So whoever opens connections and is silent
    loses them to those who have something to ask. Only if none is idle is a new one refused.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._max = limits.max_connections
        self._max_per_address = limits.max_connections_per_address
        self._all: dict[Held, None] = {}
        self._counts: Counter[str] = Counter()
        self._idle: OrderedDict[Held, None] = OrderedDict()
        self._idle_of: dict[str, OrderedDict[Held, None]] = {}
        self.closed: Counter[str] = Counter()
        """Connections that the server ended for a reason of its own, by that reason."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._all)

    @property
    def max(self) -> int:
        """How many there may be."""
        return self._max

    def admit(self, connection: Held) -> bool:
        """Count a new connection, which is idle. False: there is no room, and none can be made."""
        is_full = self._counts[connection.group] >= self._max_per_address
        if is_full and not connection.is_trusted:
            same = self._idle_of.get(connection.group)
            if not self._evict_from(same):
                return self._refuse("address_limit")
        if len(self._all) >= self._max and not self._evict_from(self._idle):
            return self._refuse("limit")
        self._all[connection] = None
        self._counts[connection.group] += 1
        self.set_idle(connection)
        return True

    def set_idle(self, connection: Held) -> None:
        """It waits for a request from now on."""
        self._idle[connection] = None
        self._idle_of.setdefault(connection.group, OrderedDict())[connection] = None

    def set_busy(self, connection: Held) -> None:
        """A request of it is in progress."""
        self._idle.pop(connection, None)
        same = self._idle_of.get(connection.group)
        if same is not None:
            same.pop(connection, None)
            if not same:
                del self._idle_of[connection.group]

    def remove(self, connection: Held) -> None:
        """It is closed. May be called again."""
        if connection not in self._all:
            return
        del self._all[connection]
        self.set_busy(connection)
        self._counts[connection.group] -= 1
        if not self._counts[connection.group]:
            del self._counts[connection.group]

    def _evict_from(self, idle: OrderedDict[Held, None] | None) -> bool:
        if not idle:
            return False
        oldest = next(iter(idle))
        self.remove(oldest)
        self.closed["evicted"] += 1
        oldest.evict()
        return True

    def _refuse(self, reason: str) -> bool:
        self.closed[reason] += 1
        return False
