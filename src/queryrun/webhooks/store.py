"""The WebhookStore protocol. What is to be delivered is written by the stores of runs and of
requests, in the transactions that change their states (`RunStore`, `AsyncRequestStore`)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from queryrun.webhooks.model import (
    Backlog,
    ClaimedDelivery,
    Delivery,
    DeliveryAttempt,
    DeliveryPage,
    DeliveryQuery,
    DeliveryState,
    LimitNotice,
    ReceiverLimits,
    SealedSecrets,
    Webhook,
)

MAX_PER_CLIENT = 20
"""Webhooks of one client in one entity."""
LEASE_S = 60.0
"""How long a node may take for one attempt; longer than an attempt's time-outs together. Then
another node makes the next one."""
REPLAYED_AT_ONCE = 1000


class WebhookStore(Protocol):
    """Webhooks, their deliveries, and the attempts of those.

    A receiver is told of a run's events in their order: a delivery is claimed only when no earlier
    one of the same run and receiver is pending. Runs and receivers do not wait for each other.
    """

    async def add_webhook(self, webhook: Webhook) -> bool:
        """Write it, durably. False, and nothing written, when its id is taken, the client has
        `MAX_PER_CLIENT` in the entity, or a second of the kind `run`."""
        ...

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """The webhook, or None."""
        ...

    async def webhooks(self, tenant_id: str, entity_id: str) -> list[Webhook]:
        """Those of an entity, oldest first."""
        ...

    async def change_webhook(self, webhook: Webhook, *, before: Webhook) -> bool:
        """Write its URL, events, description and pause. False, and nothing is written, when it is
        gone, or when these are not those of `before` any more: somebody else was first."""
        ...

    async def change_secrets(
        self, webhook_id: str, secrets: SealedSecrets, *, before: SealedSecrets
    ) -> bool:
        """Write its secrets, durably. False, and nothing is written, when it is gone, or when they
        are not those of `before` any more: somebody else was first."""
        ...

    async def remove_webhook(self, webhook_id: str) -> bool:
        """Remove it, durably. What waits is given up. False when it is gone."""
        ...

    async def announce_limit(self, notice: LimitNotice) -> None:
        """Tell webhooks that are told of the client's runs, and of `limit.reached`; each once."""
        ...

    async def claim_deliveries(self, limits: ReceiverLimits) -> list[ClaimedDelivery]:
        """Begin an attempt on deliveries that are due, of each receiver those that have been due
        longest. Each is given to one node, for `LEASE_S`."""
        ...

    async def finish_delivery(
        self,
        claimed: ClaimedDelivery,
        attempt: DeliveryAttempt,
        state: DeliveryState,
        delay_s: float = 0.0,
    ) -> bool:
        """Record the attempt, and the delivery's new state; with `pending` the next attempt is due
        in `delay_s`. False when the lease has ended and another attempt has begun: the attempt is
        recorded all the same."""
        ...

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        """Deliveries that match, newest first."""
        ...

    async def delivery(self, delivery_id: str) -> tuple[Delivery, list[DeliveryAttempt]] | None:
        """One delivery with its attempts, oldest first."""
        ...

    async def replay_deliveries(self, query: DeliveryQuery) -> int:
        """Make deliveries that match and are not pending due now, up to `REPLAYED_AT_ONCE`, the
        oldest first; returns how many. They are tried as long again as at first."""
        ...

    async def remove_expired_deliveries(self, *, before: datetime, limit: int) -> int:
        """Remove deliveries of events before that time, whatever their state; returns how
        many."""
        ...

    async def backlog(self) -> Backlog:
        """What waits, paused receivers aside. Costs an index entry for each."""
        ...
