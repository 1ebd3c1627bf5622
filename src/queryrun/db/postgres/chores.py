"""Chores on PostgreSQL: an advisory lock for each, held by the session of the node that does it.

Only the node that does something has a connection for it. The others see on one of their own
connections that the lock is taken.
"""

from __future__ import annotations

import structlog

from queryrun.db.postgres.access import Access
from queryrun.db.postgres.connect import Connection, connect
from queryrun.db.postgres.lanes import Lanes
from queryrun.errors import Unavailable
from queryrun.runs.chores import Chore

log = structlog.get_logger()

IDLE_LIMIT_S = 60.0
"""How long a node keeps what it does without asking for it again. Then the server ends its session:
the kernel of a node that is frozen would keep the connection open for ever."""
_LOCK = 7103
"""The salt of these locks; those of `functions.py` are beside it."""
_KEY = f"hashtextextended(%s, {_LOCK})"
_IS_FREE = f"SELECT pg_try_advisory_xact_lock_shared({_KEY})"
"""Shared, so that nodes that look at the same time do not see each other."""
_TAKE = f"SELECT pg_try_advisory_lock({_KEY})"
_LIMIT_IDLING = "SELECT set_config('idle_session_timeout', %s, false)"


class PostgresChores:
    """One node's part. Construct, `mine`, and `close` at the end, which lets go of everything."""

    def __init__(
        self, conninfo: str, access: Access, *, idle_limit_s: float = IDLE_LIMIT_S
    ) -> None:
        self._conninfo = conninfo
        self._access = access
        self._idle_limit_ms = round(idle_limit_s * 1000)
        self._lane = Lanes(self._connect, 1, "pg-chores")
        self._session: Connection | None = None
        self._held: frozenset[Chore] = frozenset()
        """What `_session` has locked, as far as we know."""

    async def mine(self, chore: Chore, /) -> bool:
        """Whether this node is to do the chore now. See `Chores.mine`."""
        if chore not in self._held and not await self._is_free(chore):
            return False
        try:
            return await self._lane.run(lambda session: self._take(session, chore))
        except Unavailable as error:
            log.warning("leader_lease_lost", chore=chore, reason=str(error))
            return True

    def close(self) -> None:
        """Let go of everything. May be repeated."""
        self._lane.close()

    async def _is_free(self, chore: Chore) -> bool:
        row = await self._access.read(lambda db: db.execute(_IS_FREE, (chore.value,)).fetchone())
        return row == (True,)

    # --- on the lane's thread ---------------------------------------------------------------

    def _connect(self) -> Connection:
        session = connect(self._conninfo, durable=False)
        session.execute(_LIMIT_IDLING, (str(self._idle_limit_ms),))
        return session

    def _take(self, session: Connection, chore: Chore) -> bool:
        """Lock it, once per session: locks are counted, and end with their session alone."""
        if session is not self._session:
            self._session, self._held = session, frozenset()
        if chore in self._held:
            return session.execute("SELECT 1").fetchone() is not None
        if session.execute(_TAKE, (chore.value,)).fetchone() == (True,):
            self._held |= {chore}
        return chore in self._held
