"""The nodes that share a database: each says what it serves, and reads what the others do.

What a node says is written on a connection of its own, so it also proves, in bounded time and
whatever else the node does, that the database takes writes.
"""

from __future__ import annotations

import msgspec

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connection_threads import ConnectionThreads
from queryrun.db.postgres.connections import Connections
from queryrun.runs.cluster import LIVE_S, NodeFacts

_JSON = msgspec.json


class PostgresNodes:
    """`NodeRegistry` on PostgreSQL."""

    def __init__(self, connections: Connections, threads: ConnectionThreads) -> None:
        self._sql = connections.sql
        self._threads = threads
        self._facts: NodeFacts | None = None
        self._others: tuple[NodeFacts, ...] = ()

    @property
    def others(self) -> tuple[NodeFacts, ...]:
        """The other live nodes, as of the last `beat`."""
        return self._others

    def announce(self, facts: NodeFacts) -> None:
        """What this node says of itself from the next `beat` on."""
        self._facts = facts

    async def beat(self) -> None:
        """Say what this node serves, and read what the others do. `Unavailable`."""
        self._others = await self._threads.run(self._beat)

    async def leave(self) -> None:
        """This node stops: nothing waits for it any more. `Unavailable`."""
        if self._facts is not None:
            values = {"node": self._facts.node}
            await self._threads.run(
                lambda db: db.execute(self._sql["remove_node"], values).rowcount
            )

    def close(self) -> None:
        """Close the connection."""
        self._threads.close()

    def _beat(self, connection: Connection) -> tuple[NodeFacts, ...]:
        """A node that has announced nothing yet only proves that the database takes writes."""
        facts = self._facts
        node = "" if facts is None else facts.node
        text = None if facts is None else _JSON.encode(facts).decode()
        values = {"node": node, "facts": text, "live_ms": round(LIVE_S * 1000)}
        rows = connection.execute(self._sql["beat_node"], values).fetchall()
        return tuple(_JSON.decode(text, type=NodeFacts) for (text,) in rows)
