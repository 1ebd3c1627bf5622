"""Webhooks and their deliveries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class WebhookEvent(StrEnum):
    """What a receiver can be told."""

    RUN_ACCEPTED = "run.accepted"
    RUN_IN_PROGRESS = "run.in_progress"
    RUN_REQUEUED = "run.requeued"
    """An attempt has ended and the run waits for another one."""
    RUN_COMPLETE = "run.complete"
    RUN_FAILED = "run.failed"
    RUN_CANCELED = "run.canceled"
    LIMIT_REACHED = "limit.reached"
    """A run has failed at a limit; comes before its `run.failed`. Or a submit was refused at one:
    then no run is in it."""
    REQUEST_SUCCEEDED = "request.succeeded"
    """The contract's "Async Request Succeeded" (contract C8). Callouts alone."""
    REQUEST_FAILED = "request.failed"
    """The contract's "Async Request Failed"."""


CALLOUT_EVENTS = (WebhookEvent.REQUEST_SUCCEEDED, WebhookEvent.REQUEST_FAILED)
RUN_EVENTS = tuple(event for event in WebhookEvent if event not in CALLOUT_EVENTS)


class WebhookKind(StrEnum):
    """What a webhook is for."""

    WEBHOOK = "webhook"
    """Events of runs, to its URL."""
    RUN = "run"
    """Events of runs that name a `notify_url`, to that URL. One for each client."""
    CALLOUT = "callout"
    """Outcomes of `async: true` requests, in the contract's form (contract C8)."""

    @property
    def events(self) -> tuple[WebhookEvent, ...]:
        """What it can be told."""
        return CALLOUT_EVENTS if self is WebhookKind.CALLOUT else RUN_EVENTS


@dataclass(frozen=True, slots=True)
class SealedSecrets:
    """What a webhook signs with, encrypted (`secrets.py`). Readable with the nodes' key alone."""

    current: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    """The secrets before, with which messages are signed too until `previous_until`."""
    previous_until: datetime | None = None
    credentials: str | None = field(default=None, repr=False)
    """`user:password` for basic authentication at the receiver."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription of one client in one entity."""

    id: str
    kind: WebhookKind
    tenant_id: str
    entity_id: str
    client_id: str
    """Who made it. What is sent is what that client may read at that moment (`audience.py`)."""
    url: str
    """Where to; empty for the kind `run`."""
    events: tuple[WebhookEvent, ...]
    secrets: SealedSecrets
    created_time: datetime
    updated_time: datetime
    description: str = ""
    of_entity: bool = False
    """Whether it is told of every run of the entity, and not only of its client's own."""
    is_paused: bool = False
    """While it is, its deliveries wait."""


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up. It can be replayed."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver. `id` is the same in every attempt, and in a replay."""

    id: str
    webhook_id: str
    tenant_id: str
    entity_id: str
    client_id: str
    """Whose run it is about."""
    event: WebhookEvent
    at: datetime
    """The time of the event."""
    state: DeliveryState
    attempts: int
    """Attempts begun, the one in progress included."""
    next_time: datetime
    """When the next attempt is due, or the one in progress counts as lost."""
    url: str | None = None
    """Of a run's `notify_url`; else the webhook's."""
    run_id: str | None = None
    source: str | None = None
    run_state: str | None = None
    run_attempt: int | None = None
    code: str | None = None
    """Why the run failed, or was canceled."""
    content: str | None = None
    """A callout's body, as JSON."""
    finished_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try of a delivery, and the answer to it."""

    number: int
    at: datetime
    duration_ms: int
    response_code: int | None = None
    """The receiver's status; None when there was no response."""
    error: str | None = None
    """Why there was none, in words."""
    response: str | None = None
    """The first bytes of the response's body, as text."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this node may send until its lease ends. `seq` and the number of the attempt
    are the fence of what it writes."""

    seq: int
    receiver: str
    since: datetime
    """The event, or the last replay: retries are counted from here."""
    delivery: Delivery
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """A filter of deliveries. What is None or empty does not restrict."""

    tenant_id: str
    entity_id: str | None = None
    client_id: str | None = None
    """Of webhooks that this client has made, about its own runs."""
    webhook_id: str | None = None
    run_id: str | None = None
    state: DeliveryState | None = None
    ids: tuple[str, ...] = ()
    from_time: datetime | None = None
    before_time: datetime | None = None
    after: int | None = None
    """Position of the last one seen (`DeliveryPage.next_after`)."""
    limit: int = 30


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Deliveries, newest first, and where the next page begins; None on the last."""

    deliveries: tuple[Delivery, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be delivered: how much, and for how long the first has been due."""

    pending: int
    overdue_s: float


@dataclass(frozen=True, slots=True)
class ReceiverLimits:
    """How much a node may claim. A receiver is a webhook, or one origin of its runs'
    `notify_url`s."""

    free: int
    """In all."""
    per_receiver: int
    full: Mapping[str, int] = field(default_factory=dict)
    """Receivers that may have less: what is left of them, 0 for nothing."""


@dataclass(frozen=True, slots=True)
class LimitNotice:
    """A `limit.reached` without a run. Of one `key` each webhook is told once."""

    key: str
    tenant_id: str
    entity_id: str
    client_id: str
    source: str
    content: str
    """The body, as JSON."""
