"""LeaderLease on PostgreSQL: one advisory lock per task, held by a session of the leading node.

Only the leader keeps a connection for this. The other nodes use one of their ordinary connections
to find out that the lock is taken.
"""

from __future__ import annotations

import structlog

from queryrun.db.postgres.connect import Connection, connect
from queryrun.db.postgres.connection_threads import ConnectionThreads
from queryrun.db.postgres.connections import Connections
from queryrun.errors import Unavailable
from queryrun.runs.leader import LeaderTask

log = structlog.get_logger()

IDLE_TIMEOUT_S = 60.0
"""How long a node keeps its leases without renewing one. Then the server closes its session: the
kernel of a frozen node would keep the connection open forever."""


class PostgresLeaderLease:
    """One node's leases. `close` releases all of them."""

    def __init__(
        self, conninfo: str, connections: Connections, *, idle_timeout_s: float = IDLE_TIMEOUT_S
    ) -> None:
        self._conninfo = conninfo
        self._connections = connections
        self._idle_timeout_ms = round(idle_timeout_s * 1000)
        self._thread = ConnectionThreads(self._connect, 1, "pg-leader")
        self._session: Connection | None = None
        self._held: frozenset[LeaderTask] = frozenset()
        """What `_session` has locked, as far as we know."""

    async def held(self, task: LeaderTask, /) -> bool:
        """Acquire or renew the lease on `task`. See `LeaderLease.held`."""
        if task not in self._held and not await self._is_free(task):
            return False
        try:
            return await self._thread.run(lambda session: self._take(session, task))
        except Unavailable as error:
            log.warning("leader_lease_lost", task=task, reason=str(error))
            return True

    def close(self) -> None:
        """Release every lease. Idempotent."""
        self._thread.close()

    async def _is_free(self, task: LeaderTask) -> bool:
        statement, values = self._connections.sql["leader_lock_is_free"], {"task": task.value}
        row = await self._connections.read(lambda db: db.execute(statement, values).fetchone())
        return row == (True,)

    # --- on the thread ---------------------------------------------------------------

    def _connect(self) -> Connection:
        session = connect(self._conninfo, durable=False)
        session.execute(
            self._connections.sql["set_idle_timeout"], {"timeout_ms": str(self._idle_timeout_ms)}
        )
        return session

    def _take(self, session: Connection, task: LeaderTask) -> bool:
        """Lock it, once per session: locks are counted, and released only with their session."""
        if session is not self._session:
            self._session, self._held = session, frozenset()
        if task in self._held:
            return session.execute("SELECT 1").fetchone() is not None
        take = self._connections.sql["take_leader_lock"]
        if session.execute(take, {"task": task.value}).fetchone() == (True,):
            self._held |= {task}
        return task in self._held
