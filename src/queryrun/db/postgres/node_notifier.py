"""NodeNotifier on PostgreSQL: nodes notify each other over LISTEN/NOTIFY that a run has changed.

Notifications are hints. They are sent after the change was committed, collected for a few
milliseconds, on a separate connection, and dropped during an outage of the database. A node that
acts on them also reads the store from time to time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import structlog

from queryrun.runs.state import RunState

log = structlog.get_logger()

CHANNEL = "queryrun_runs"
COLLECT_S = 0.004
"""How long notifications are collected before they are sent: many changes, one NOTIFY."""
PENDING_LIMIT = 10_000
"""Runs with an unsent notification. Beyond it new ones are dropped."""
PAYLOAD_BYTES = 7_900
"""PostgreSQL accepts less than 8,000."""
PROBE_EVERY_S = 3.0
BACK_OFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before each further attempt to connect; the last one repeats."""
STATEMENT_LIMIT_S = 5.0
"""How long the server may take for one statement before its connection is closed."""
CLOSE_LIMIT_S = 1.0

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Hint = tuple[str, RunState]
OnRemoteChange = Callable[[Sequence[Hint] | None], None]

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(tuple[str, list[tuple[str, str]]]).decode
_LONGEST_BYTES = 160
"""Of one encoded hint. Ids are UUIDs, so it takes less than half; longer ones are dropped."""


class PostgresNodeNotifier:
    """One node's part in the exchange: `start`, `publish`, and `close` at the end.

    Everything happens on the event loop that `start` is called on.
    """

    def __init__(self, conninfo: str, *, probe_every_s: float = PROBE_EVERY_S) -> None:
        self._conninfo = conninfo
        self._probe_every_s = probe_every_s
        self._me = uuid4().hex[:12]
        self._pending: dict[str, RunState] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._last_probe_s = float("-inf")
        self._listened = False
        self._on_remote_change: OnRemoteChange = lambda _hints: None

    @property
    def healthy(self) -> bool:
        """Whether this node recently received its own probe: then it receives others' too."""
        return self._receives()

    def _receives(self) -> bool:
        return time.monotonic() - self._last_probe_s < 2 * self._probe_every_s

    def start(self, on_remote_change: OnRemoteChange) -> None:
        """Begin to listen and to send. Does not wait for the database.

        `on_remote_change` is called on the event loop with what other nodes published, never with
        what this one did, and with None when notifications may have been lost: everything has to be
        read then. It must not block or raise.
        """
        self._on_remote_change = on_remote_change
        self._tasks = [
            asyncio.create_task(self._keep(self._listen), name="notifier-listen"),
            asyncio.create_task(self._keep(self._send), name="notifier-send"),
        ]

    def publish(self, run_id: str, state: RunState) -> None:
        """Notify the other nodes, soon, that the run was written in this state.

        Returns at once and promises nothing. Of several notifications about a run the last is sent.
        """
        if run_id in self._pending or len(self._pending) < PENDING_LIMIT:
            self._pending[run_id] = state
            self._wake.set()

    async def close(self) -> None:
        """Stop listening and sending; what is unsent is dropped. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_LIMIT_S)
        self._last_probe_s = float("-inf")

    # --- sending -----------------------------------------------------------------------------

    async def _send(self, connection: Connection) -> None:
        """Send what is published, and a probe when that is nothing."""
        self._pending.clear()  # hints from before the connection are too old to be useful
        while True:
            await self._wait_for_something()
            for payload in self._payloads():
                await _execute(connection, "SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    async def _wait_for_something(self) -> None:
        """Wait for something to send, and a moment for more; or until the next probe is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._probe_every_s):
                await self._wake.wait()
                await asyncio.sleep(COLLECT_S)
        self._wake.clear()

    def _payloads(self) -> Iterator[str]:
        """What is pending, in as few messages as fit; one without hints is a probe."""
        pending, self._pending = self._pending, {}
        hints = [
            (run_id, state.value)
            for run_id, state in pending.items()
            if len(run_id.encode()) < _LONGEST_BYTES - 40
        ]
        each = PAYLOAD_BYTES // _LONGEST_BYTES
        for start in range(0, max(1, len(hints)), each):
            yield _ENCODE((self._me, hints[start : start + each])).decode()

    # --- listening ---------------------------------------------------------------------------

    async def _listen(self, connection: Connection) -> None:
        """Returns when no probe came back over this connection within the timeout."""
        await _execute(connection, f"LISTEN {CHANNEL}")
        self._last_probe_s = time.monotonic()
        if self._listened:
            self._on_remote_change(None)
        self._listened = True
        self._wake.set()  # a first probe
        while self._receives():
            async for notice in connection.notifies(timeout=self._probe_every_s / 2):
                self._receive(notice.payload)
        log.warning("notifications_not_received")

    def _receive(self, payload: str) -> None:
        try:
            sender, hints = _DECODE(payload)
            received = [(run_id, RunState(state)) for run_id, state in hints]
        except (msgspec.DecodeError, ValueError):
            return  # of a newer node; the change is found in the store
        if sender == self._me:
            self._last_probe_s = time.monotonic()
        elif received:
            self._on_remote_change(received)

    # --- connections -------------------------------------------------------------------------

    async def _keep(self, use: Callable[[Connection], Awaitable[None]]) -> None:
        """Reconnect whenever the connection is lost, with a back-off while none can be opened."""
        step = 0
        while True:
            with suppress(psycopg.Error, OSError, TimeoutError):
                async with await Connection.connect(self._conninfo, autocommit=True) as connection:
                    step = 0
                    await use(connection)
            await asyncio.sleep(BACK_OFF_S[min(step, len(BACK_OFF_S) - 1)])
            step += 1


async def _execute(connection: Connection, statement: str, values: tuple[str, ...] = ()) -> None:
    """Run one statement, or close the connection when that takes too long.

    Cancelling the task is not enough: psycopg would wait for the server to confirm it.
    """
    task = asyncio.create_task(connection.execute(statement.encode(), values or None))
    done, _ = await asyncio.wait({task}, timeout=STATEMENT_LIMIT_S)
    if not done:
        await connection.close()
    await task
