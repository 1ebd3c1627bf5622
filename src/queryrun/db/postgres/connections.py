"""The three kinds of connections of a node: durable writes, relaxed writes, and reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from queryrun.db.postgres.connect import Connection, connect
from queryrun.db.postgres.connection_threads import RESPONSE_TIMEOUT_S, ConnectionThreads
from queryrun.db.postgres.statements import DATABASE_CLOCK, statements

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConnectionCounts:
    """How many connections of each kind a node opens at most; it opens them when first needed.

    Durable writes wait for the disk, so several of them share a flush.
    """

    durable: int = 4
    relaxed: int = 3
    reads: int = 3

    @classmethod
    def within(cls, connections: int) -> ConnectionCounts:
        """Of so many in all. Three are for one purpose each: hints, the leader, and `/readyz`."""
        shared = connections - 3
        durable = max(1, round(shared * 0.4))
        relaxed = max(1, round(shared * 0.3))
        return cls(durable, relaxed, max(1, shared - durable - relaxed))


class Connections:
    """Runs units on the right kind of connection."""

    def __init__(
        self,
        conninfo: str,
        sizes: ConnectionCounts,
        *,
        now: str = DATABASE_CLOCK,
        response_timeout_s: float = RESPONSE_TIMEOUT_S,
    ) -> None:
        self._conninfo = conninfo
        self.sql = statements(now)
        """The statements by name, each with `now` as the expression for the time."""

        def opener(durable: bool) -> Callable[[], Connection]:
            def open_one() -> Connection:
                connection = connect(conninfo, durable=durable)
                create_functions(connection, self.sql)
                return connection

            return open_one

        def threads(name: str, count: int, *, durable: bool = False) -> ConnectionThreads:
            return ConnectionThreads(
                opener(durable), count, f"pg-{name}", response_timeout_s=response_timeout_s
            )

        self._durable = threads("durable", sizes.durable, durable=True)
        self._relaxed = threads("relaxed", sizes.relaxed)
        self._reads = threads("reads", sizes.reads)

    def own(self, name: str, response_timeout_s: float) -> ConnectionThreads:
        """A connection for one purpose, which nothing else can keep busy; the caller closes it."""
        return ConnectionThreads(
            lambda: connect(self._conninfo, durable=True),
            1,
            f"pg-{name}",
            response_timeout_s=response_timeout_s,
        )

    async def read(self, unit: Callable[[Connection], T]) -> T:
        """Run a unit that only reads; it is retried once when its connection broke."""
        return await self._reads.run(unit, read_only=True)

    async def write(self, unit: Callable[[Connection], T], *, durable: bool) -> T:
        """Run a unit that writes. On `Unavailable` it may or may not be committed."""
        return await (self._durable if durable else self._relaxed).run(unit)

    def close(self) -> None:
        """Finish what is queued, then close every connection. Idempotent."""
        for threads in (self._durable, self._relaxed, self._reads):
            threads.close()


def create_functions(connection: Connection, sql: Mapping[str, str]) -> None:
    """Create the functions of `sql/claims.sql` and `sql/rates.sql` in this session."""
    for statement in ("create_queue_has_room", "create_claim_runs", "create_count_submit"):
        connection.execute(sql[statement].encode(), prepare=False)
