"""The outbox and the ledger as Hypothesis imagines them, against a model of what was done.

Runs change their states, nodes claim messages, send them, fail, and are lost with what they hold;
time passes and webhooks are paused. Each receiver must take each run's events once settled, all of
them, in order; and the ledger must be the sum of the attempts.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from queryrun.runs.model import Attempt
from queryrun.runs.store import ClaimLimits, Failed, RunStore
from queryrun.runs.usage import AttemptUsage, UsageQuery, UsageStore
from queryrun.webhooks.model import ClaimedDelivery, DeliveryState, ReceiverLimits, Webhook
from queryrun.webhooks.store import LEASE_S, WebhookStore
from tests.contract.run_store_fixtures import (
    BY_USER,
    CLIENT,
    FILE,
    KILLED,
    TENANT,
    back,
    request,
    submitted,
)
from tests.contract.webhook_store import LIMIT, a_webhook, tried
from tests.stateful.limits_machine import MovableClock

T = TypeVar("T")

OTHER = "client-2"
USED = AttemptUsage(cpu_ms=700, peak_memory_bytes=1, read_bytes=50, read_rows=5, spilled_bytes=0)
ROOM = ReceiverLimits(free=4, per_receiver=2)
MAX_ROUNDS = 2000


class Stores(Protocol):
    """One database."""

    @property
    def runs(self) -> RunStore:
        """Its runs."""
        ...

    @property
    def usage(self) -> UsageStore:
        """Its ledger."""
        ...

    @property
    def webhooks(self) -> WebhookStore:
        """Its outbox."""
        ...


class OutboxMachine(RuleBasedStateMachine):
    """One database, two webhooks, two clients' runs."""

    open_stores: Callable[[], tuple[MovableClock, Stores]]
    close_stores: Callable[[], None]

    @initialize()
    def begin(self) -> None:
        """Empty stores; one webhook is told of its client's runs, one of everybody's."""
        self.loop = asyncio.Runner()
        self.clock, self.stores = self.open_stores()
        self.webhooks = [a_webhook(), a_webhook(client="admin", of_entity=True)]
        for one in self.webhooks:
            assert self.run(self.stores.webhooks.add_webhook(one))
        self.paused: set[str] = set()
        self.waiting: list[tuple[str, str]] = []
        self.attempts: list[tuple[Attempt, str]] = []
        self.held: list[ClaimedDelivery] = []
        self.expected: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.taken: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.finished = self.counted = 0

    def notified(self, run_id: str, client: str, *events: str) -> None:
        """What receivers must hear of."""
        for one in self.webhooks:
            if one.of_entity or one.client_id == client:
                self.expected[one.id, run_id] += events

    @rule(client=st.sampled_from([CLIENT, OTHER]))
    def submit(self, client: str) -> None:
        """A run waits."""
        run = self.run(submitted(self.stores.runs, request(client=client)))
        self.waiting.append((run.id, client))
        self.notified(run.id, client, "run.accepted")

    @precondition(lambda self: self.waiting)
    @rule()
    def claim_run(self) -> None:
        """Some run that waits begins."""
        limits = ClaimLimits(["live"], 1, {})
        for attempt in self.run(self.stores.runs.claim("n", lease_s=9e8, limits=limits)):
            [found] = [one for one in self.waiting if one[0] == attempt.ref.run_id]
            self.waiting.remove(found)
            self.attempts.append((attempt, found[1]))
            self.notified(*found, "run.in_progress")

    @precondition(lambda self: self.attempts)
    @rule(how=st.sampled_from(["complete", "limit", "requeue", "cancel"]), data=st.data())
    def end_attempt(self, how: str, data: st.DataObject) -> None:
        """An attempt ends in some way; each is in the ledger once."""
        attempt, client = self.attempts.pop(data.draw(st.integers(0, len(self.attempts) - 1)))
        store, ref = self.stores.runs, attempt.ref
        self.finished += 1
        self.counted += how == "complete"
        if how == "complete":
            self.run(store.complete(ref, replace(FILE, usage=USED)))
            self.notified(ref.run_id, client, "run.complete")
        elif how == "limit":
            self.run(store.fail(ref, Failed(LIMIT)))
            self.notified(ref.run_id, client, "limit.reached", "run.failed")
        elif how == "requeue":
            self.run(store.requeue(ref, back(charge=False)))
            self.waiting.append((ref.run_id, client))
            self.notified(ref.run_id, client, "run.requeued")
        else:
            self.run(store.cancel(ref.run_id, BY_USER))
            self.run(store.freed(ref, KILLED))
            self.notified(ref.run_id, client, "run.canceled")

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel_waiting(self, data: st.DataObject) -> None:
        """A run ends without an attempt of its own."""
        run_id, client = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.run(self.stores.runs.cancel(run_id, BY_USER))
        self.notified(run_id, client, "run.canceled")

    @rule()
    def claim_messages(self) -> None:
        """A node begins attempts: of a run and receiver only the first that was not taken."""
        for one in self.run(self.stores.webhooks.claim_deliveries(ROOM)):
            key = one.delivery.webhook_id, str(one.delivery.run_id)
            assert one.delivery.webhook_id not in self.paused
            assert one.delivery.event == self.expected[key][len(self.taken[key])]
            self.held.append(one)

    @precondition(lambda self: self.held)
    @rule(how=st.sampled_from(["taken", "taken", "refused", "lost"]), data=st.data())
    def end_message(self, how: str, data: st.DataObject) -> None:
        """The receiver takes it, or not, or the node is lost with it."""
        self._end(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))), how)

    def _end(self, one: ClaimedDelivery, how: str) -> None:
        if how == "lost":
            return
        state = DeliveryState.DELIVERED if how == "taken" else DeliveryState.PENDING
        is_current = self.run(
            self.stores.webhooks.finish_delivery(one, tried(one), state, delay_s=30.0)
        )
        if is_current and how == "taken":
            key = one.delivery.webhook_id, str(one.delivery.run_id)
            self.taken[key].append(one.delivery.event)

    @rule(seconds=st.sampled_from([1.0, 31.0, LEASE_S + 1, 90_000.0]))
    def time_passes(self, seconds: float) -> None:
        """Retries become due, leases end, and a day may pass."""
        self.clock.move(seconds)

    @rule(index=st.sampled_from([0, 1]))
    def pause(self, index: int) -> None:
        """Somebody pauses a webhook, or lets it go on."""
        webhook: Webhook = self.webhooks[index]
        is_paused = webhook.id not in self.paused
        self.paused ^= {webhook.id}
        before, changed = (replace(webhook, is_paused=one) for one in (not is_paused, is_paused))
        assert self.run(self.stores.webhooks.change_webhook(changed, before=before))

    def teardown(self) -> None:
        """Everything is delivered in the end, in order; the ledger is the sum of the attempts."""
        if not hasattr(self, "loop"):
            return
        try:
            for index, one in enumerate(self.webhooks):
                if one.id in self.paused:
                    self.pause(index)
            self.held.clear()
            for _ in range(MAX_ROUNDS):
                self.clock.move(LEASE_S + 1)
                self.claim_messages()
                if not self.held:
                    break
                while self.held:
                    self._end(self.held.pop(), "taken")
            assert {key: one for key, one in self.taken.items() if one} == self.expected
            self._compare_ledger()
        finally:
            self.close_stores()
            self.loop.close()

    def _compare_ledger(self) -> None:
        last = self.clock().date()
        first = last.replace(year=last.year - 1, day=1)
        page = self.run(self.stores.usage.report(UsageQuery(TENANT, first, last)))
        totals = page.rows[0][1]
        assert sum(one.count for one in totals.attempts) == self.finished
        assert totals.cpu_ms == USED.cpu_ms * self.counted
        assert totals.read_bytes == 50 * self.counted
        run_ids = {run_id for _, run_id in self.expected}
        sums = [self.run(self.stores.usage.run_usage(run_id)) for run_id in run_ids]
        assert sum(one.cpu_ms for one in sums) == totals.cpu_ms
        assert sum(x.count for one in sums for x in one.attempts) == self.finished

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the machine's loop."""
        return self.loop.run(work)
