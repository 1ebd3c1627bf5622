"""The loop of a node that delivers what is due.

Every node delivers. A delivery belongs to the node that has claimed it until its lease ends. What a
receiver may keep busy is bounded, and one that does not respond gets less: others do not notice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import structlog

from queryrun.runs.loop import BackgroundLoops, survive
from queryrun.webhooks.audience import Audience
from queryrun.webhooks.message import body_of, headers_of
from queryrun.webhooks.metrics import WebhookMetrics
from queryrun.webhooks.model import (
    ClaimedDelivery,
    DeliveryAttempt,
    DeliveryState,
    ReceiverLimits,
    WebhookKind,
)
from queryrun.webhooks.retry import RetryPlan, is_receivers_fault
from queryrun.webhooks.secrets import Sealer, UnreadableSecretError
from queryrun.webhooks.send import Reply, Sender, SendError
from queryrun.webhooks.store import WebhookStore
from queryrun.webhooks.target import RefusedTargetError, Wall

log = structlog.get_logger()

POLL_S = 0.25
"""How often the outbox is read without a hint: other nodes send none."""
ROUND_GAP_S = 0.01
"""Between two rounds, however often the loop is woken: every change of a run wakes it."""
QUIET_GAP_S = 0.05
QUIET_ROUNDS = 20
"""After so many that found nothing, the gap is longer: most nodes have nobody to tell."""
BACKLOG_S = 15.0
MAX_REST_S = 60.0
CLOSE_TIMEOUT_S = 3.0
"""How long attempts may go on when the node stops."""
NODE_STOPPED = "the node stopped"
NO_RIGHTS = "the webhook's client may not read what this message is about any more"


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """The bounds of one node."""

    public_url: str
    max_attempts: int
    """Attempts in progress at the same time."""
    per_receiver: int
    """The same, of one receiver. One that fails has one, after a rest."""
    retries: RetryPlan


@dataclass(slots=True)
class _Health:
    """A receiver that has failed: how often in a row, and until when it rests."""

    failures: int = 0
    rest_until_s: float = 0.0


class Deliverer:
    """Delivers from `start` until `close`."""

    def __init__(
        self,
        store: WebhookStore,
        audience: Audience,
        sender: Sender,
        wall: Wall,
        sealer: Sealer,
        options: DeliveryOptions,
        metrics: WebhookMetrics,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._audience = audience
        self._sender = sender
        self._wall = wall
        self._sealer = sealer
        self._options = options
        self._metrics = metrics
        self._now = now
        self._hint = asyncio.Event()
        self._loops = BackgroundLoops()
        self._attempts: dict[asyncio.Task[None], str] = {}
        self._health: dict[str, _Health] = {}
        self._backlog_at_s = 0.0
        self._empty_rounds = 0

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loops.start("webhooks", self._deliver_forever())

    def wake(self) -> None:
        """Something may be due."""
        self._hint.set()

    async def close(self) -> None:
        """Claim nothing more, give attempts a moment, and release those that go on. Idempotent."""
        await self._loops.close()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=CLOSE_TIMEOUT_S)
        for task in self._attempts:
            task.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _deliver_forever(self) -> None:
        while True:
            self._hint.clear()
            await survive(self.round, operation="webhooks", error_event="webhook_error")
            try:
                async with asyncio.timeout(POLL_S):
                    await self._hint.wait()
            except TimeoutError:
                continue
            is_quiet = self._empty_rounds >= QUIET_ROUNDS
            await asyncio.sleep(QUIET_GAP_S if is_quiet else ROUND_GAP_S)

    async def round(self) -> None:
        """Begin what is due and has room."""
        found = await self._store.claim_deliveries(self._limits())
        self._empty_rounds = 0 if found else self._empty_rounds + 1
        for claimed in found:
            task = asyncio.create_task(self._attempt(claimed), name=f"webhook {claimed.seq}")
            self._attempts[task] = claimed.receiver
            task.add_done_callback(self._done)
        if monotonic() - self._backlog_at_s >= BACKLOG_S:
            self._backlog_at_s = monotonic()
            backlog = await self._store.backlog()
            self._metrics.pending.set(backlog.pending)
            self._metrics.overdue_s.set(backlog.overdue_s)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._attempts.pop(task, None)
        self.wake()

    def _limits(self) -> ReceiverLimits:
        """What is busy or rests has less room. A rest that is over leaves room for one attempt."""
        busy = Counter(self._attempts.values())
        rooms = {one: self._options.per_receiver - count for one, count in busy.items()}
        for receiver, health in self._health.items():
            is_resting = monotonic() < health.rest_until_s
            rooms[receiver] = 0 if is_resting or busy[receiver] else 1
        return ReceiverLimits(
            self._options.max_attempts - len(self._attempts), self._options.per_receiver, rooms
        )

    async def _attempt(self, claimed: ClaimedDelivery) -> None:
        await survive(lambda: self._try(claimed), operation="webhooks", error_event="webhook_error")

    async def _try(self, claimed: ClaimedDelivery) -> None:
        """One attempt, and its record."""
        began_s, began = monotonic(), self._now()
        if not await self._audience.may_be_notified(claimed.webhook, claimed.delivery):
            attempt = DeliveryAttempt(claimed.delivery.attempts, began, 0, error=NO_RIGHTS)
            await self._store.finish_delivery(claimed, attempt, DeliveryState.DEAD)
            return
        if claimed.delivery.attempts == 1:
            self._metrics.delay_s.observe(max(0.0, (began - claimed.delivery.at).total_seconds()))
        reply: Reply | None = None
        error: str | None = None
        try:
            reply = await self._post(claimed, began)
        except (SendError, UnreadableSecretError) as failure:
            error = str(failure)
        except RefusedTargetError as failure:
            error = f"the URL {failure}"
        except asyncio.CancelledError:
            error = NODE_STOPPED
        attempt = DeliveryAttempt(
            claimed.delivery.attempts,
            began,
            round((monotonic() - began_s) * 1000),
            None if reply is None else reply.code,
            error,
            None if reply is None else reply.beginning,
        )
        await self._record(claimed, attempt, 0.0 if reply is None else reply.retry_after_s)

    async def _post(self, claimed: ClaimedDelivery, now: datetime) -> Reply:
        delivery, webhook = claimed.delivery, claimed.webhook
        is_callout = webhook.kind is WebhookKind.CALLOUT
        target = self._wall.target(delivery.url or webhook.url, is_callout=is_callout)
        body = body_of(delivery, self._options.public_url)
        headers = headers_of(delivery, webhook, self._sealer, body, now)
        return await self._sender.post(target, headers, body)

    async def _record(
        self, claimed: ClaimedDelivery, attempt: DeliveryAttempt, retry_after_s: float
    ) -> None:
        kind, code = claimed.webhook.kind, attempt.response_code
        if code is not None and 200 <= code < 300:
            self._health.pop(claimed.receiver, None)
            self._metrics.attempts.labels(kind.value, "delivered").inc()
            await self._store.finish_delivery(claimed, attempt, DeliveryState.DELIVERED)
            return
        self._metrics.attempts.labels(kind.value, "failed" if code is None else "refused").inc()
        if attempt.error == NODE_STOPPED:
            await self._store.finish_delivery(claimed, attempt, DeliveryState.PENDING)
            return
        if is_receivers_fault(code):
            self._let_rest(claimed.receiver)
        age_s = (self._now() - claimed.since).total_seconds()
        delay_s = self._options.retries.delay_s(kind, code, age_s, retry_after_s)
        if delay_s is not None:
            await self._store.finish_delivery(claimed, attempt, DeliveryState.PENDING, delay_s)
            return
        self._metrics.given_up.labels(kind.value).inc()
        log.warning(
            "webhook_given_up",
            webhook_id=claimed.webhook.id,
            delivery_id=claimed.delivery.id,
            response_code=code,
            error=attempt.error,
        )
        await self._store.finish_delivery(claimed, attempt, DeliveryState.DEAD)

    def _let_rest(self, receiver: str) -> None:
        """Longer with each failure in a row. Forgotten with the next success, or long after."""
        now_s = monotonic()
        stale = [one for one, h in self._health.items() if now_s > h.rest_until_s + 10 * MAX_REST_S]
        for one in stale:
            del self._health[one]
        health = self._health.setdefault(receiver, _Health())
        if now_s < health.rest_until_s:
            return  # attempts that were in progress together count once
        health.failures += 1
        health.rest_until_s = now_s + min(2.0 ** min(health.failures - 1, 10), MAX_REST_S)
