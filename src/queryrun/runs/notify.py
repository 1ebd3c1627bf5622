"""Notifications that a run has changed, within this node and between nodes.

A notification is a hint. It may be lost, arrive twice or arrive late, and it only names the run to
read again. Everything that must happen also happens without it: the dispatcher polls, lease
extensions return the state, and waits read the store again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from queryrun.runs.model import Run
from queryrun.runs.state import RunState


class Subscription:
    """Waits for changes of one run, and for its progress between changes."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        """Set by every notification. The subscriber clears it before it reads."""
        self.changed = True
        """Whether the store may hold something new. The subscriber clears it before it reads."""

    def notify(self, *, changed: bool) -> None:
        """Wake the subscriber. `changed`: the run itself changed, not only its progress."""
        self.changed = self.changed or changed
        self.event.set()


class ChangeNotifier:
    """Notifies the waiters of this process that a run has changed.

    A lost notification costs time, never correctness.
    """

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._listeners: list[Callable[[Run], None]] = []

    def publish(self, run: Run) -> None:
        """Report a change that this node made: wakes the run's waiters and calls the listeners
        (the dispatcher, and the notifier of other nodes)."""
        self._notify(run.id, may_be_terminal=run.state.is_terminal)
        for listener in self._listeners:
            listener(run)

    def on_remote_change(self, run_id: str) -> None:
        """Report a change that another node made: wakes the run's waiters on this node."""
        self._notify(run_id, may_be_terminal=True)

    def _notify(self, run_id: str, *, may_be_terminal: bool) -> None:
        for event in self._watchers.get(run_id, ()) if may_be_terminal else ():
            event.set()
        for subscription in self._subscriptions.get(run_id, ()):
            subscription.notify(changed=True)

    def notify_progress(self, run_id: str) -> None:
        """Report progress without a change of the run: wakes its subscriptions."""
        for subscription in self._subscriptions.get(run_id, ()):
            subscription.notify(changed=False)

    def notify_all(self, *, changed: bool = False) -> None:
        """Wake every waiter of every run: the node begins to drain, or (`changed`) notifications
        may have been lost."""
        for events in self._watchers.values():
            for event in events:
                event.set()
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.notify(changed=changed)

    def add_listener(self, listener: Callable[[Run], None]) -> None:
        """Call `listener` for every published change from now on. It must not block or raise."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def watch(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the run may have ended. Watch first, then read, then wait."""
        event = asyncio.Event()
        self._watchers[run_id].add(event)
        try:
            yield event
        finally:
            self._watchers[run_id].discard(event)
            if not self._watchers[run_id]:
                del self._watchers[run_id]

    @asynccontextmanager
    async def subscribe(self, run_id: str) -> AsyncIterator[Subscription]:
        """Like `watch`, but notified of every change and of progress, and distinguishes the two."""
        subscription = Subscription()
        self._subscriptions[run_id].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[run_id].discard(subscription)
            if not self._subscriptions[run_id]:
                del self._subscriptions[run_id]


OnRemoteChange = Callable[[Sequence[tuple[str, RunState]] | None], None]
"""Called on the event loop with the runs that other nodes changed and their new states.
None: notifications may have been lost, so any run may have changed. Must not block or raise."""


class NodeNotifier(Protocol):
    """Exchanges notifications with the other nodes on the same database."""

    @property
    def healthy(self) -> bool:
        """Whether notifications of other nodes arrive at the moment."""
        ...

    def start(self, on_remote_change: OnRemoteChange, /) -> None:
        """Begin to receive, on the running event loop. A node's own notifications are skipped."""
        ...

    def publish(self, run_id: str, state: RunState) -> None:
        """Notify the other nodes soon. Returns at once; dropped while the database is down."""
        ...

    async def close(self) -> None:
        """Stop receiving and sending. Idempotent."""
        ...


class NoOtherNodes:
    """The notifier of a node that owns its database alone. Does nothing."""

    healthy = True

    def start(self, on_remote_change: OnRemoteChange, /) -> None:
        """Never calls `on_remote_change`."""

    def publish(self, run_id: str, state: RunState) -> None:
        """Does nothing."""

    async def close(self) -> None:
        """Does nothing."""
