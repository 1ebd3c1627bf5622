"""What every WebhookStore must do, together with the stores that write its outbox.

An implementation provides the fixtures `store`, `runs`, `requests`, `auth` and `raw`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from queryrun.auth.model import Client, Entity, RevokedLogin, Scope
from queryrun.auth.store import AuthStore
from queryrun.errors import Failure, FailureCode
from queryrun.runs.model import AttemptRef
from queryrun.runs.requests import (
    AsyncRequestStore,
    NewRequest,
    RequestOutcome,
    RequestState,
)
from queryrun.runs.store import Failed, RunStore
from queryrun.webhooks.model import (
    CALLOUT_EVENTS,
    RUN_EVENTS,
    ClaimedDelivery,
    DeliveryAttempt,
    DeliveryQuery,
    DeliveryState,
    LimitNotice,
    ReceiverLimits,
    SealedSecrets,
    Webhook,
    WebhookEvent,
    WebhookKind,
)
from queryrun.webhooks.store import LEASE_S, MAX_PER_CLIENT, WebhookStore
from tests.contract.run_store_fixtures import (
    BY_USER,
    CLIENT,
    ENTITY,
    FILE,
    KILLED,
    TENANT,
    RawDatabase,
    back,
    claimed,
    request,
    started,
    submitted,
)

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALL = ReceiverLimits(100, 10)
OF_TENANT = DeliveryQuery(TENANT)
LIMIT = Failure(FailureCode.ROW_LIMIT_EXCEEDED, "more than 3 rows")
DONE = RequestOutcome(RequestState.SUCCEEDED, b"201 {}", '{"state":"succeeded"}')


def a_webhook(
    *,
    kind: WebhookKind = WebhookKind.WEBHOOK,
    client: str = CLIENT,
    events: tuple[WebhookEvent, ...] = RUN_EVENTS,
    of_entity: bool = False,
) -> Webhook:
    """A webhook that is notified of everything."""
    url = "" if kind is WebhookKind.RUN else "https://receiver.example/hooks"
    notified = CALLOUT_EVENTS if kind is WebhookKind.CALLOUT else events
    secrets = SealedSecrets("sealed")
    return Webhook(
        str(uuid4()), kind, TENANT, ENTITY, client, url, notified, secrets, TIME, TIME,
        of_entity=of_entity,
    )  # fmt: skip


async def added(store: WebhookStore, webhook: Webhook) -> Webhook:
    """The webhook, written."""
    assert await store.add_webhook(webhook)
    return webhook


async def events(store: WebhookStore, limits: ReceiverLimits = ALL) -> list[str]:
    """What is delivered now, everything at once successful, in order."""
    notified: list[str] = []
    while found := await store.claim_deliveries(limits):
        for one in found:
            notified.append(one.delivery.event.value)
            assert await delivered(store, one)
    return notified


async def delivered(store: WebhookStore, one: ClaimedDelivery) -> bool:
    """Record that the receiver took it."""
    return await store.finish_delivery(one, tried(one), DeliveryState.DELIVERED)


async def refused(store: WebhookStore, one: ClaimedDelivery, delay_s: float) -> bool:
    """Record that it did not."""
    attempt = replace(tried(one), response_code=500, response="no")
    return await store.finish_delivery(one, attempt, DeliveryState.PENDING, delay_s)


def tried(one: ClaimedDelivery) -> DeliveryAttempt:
    """A successful attempt."""
    return DeliveryAttempt(one.delivery.attempts, TIME, 12, 200)


class WebhookStoreContract:
    """Inherit this, provide `store`, `runs`, `requests`, `auth` and `raw`."""

    pytestmark = pytest.mark.anyio

    async def test_a_webhook_is_read_as_it_was_written(self, store: WebhookStore) -> None:
        made = replace(a_webhook(of_entity=True), description="billing")
        made = replace(made, secrets=SealedSecrets("one", credentials="two"))
        assert await store.add_webhook(made)
        assert await store.webhook(made.id) == made
        assert await store.webhooks(TENANT, ENTITY) == [made]
        assert await store.webhooks(TENANT, "entity-2") == []
        assert not await store.add_webhook(made)

    async def test_a_client_has_a_bounded_number_and_one_for_its_runs(
        self, store: WebhookStore
    ) -> None:
        await added(store, a_webhook(kind=WebhookKind.RUN))
        assert not await store.add_webhook(a_webhook(kind=WebhookKind.RUN))
        for _ in range(MAX_PER_CLIENT - 1):
            await added(store, a_webhook())
        assert not await store.add_webhook(a_webhook())
        await added(store, a_webhook(client="client-2"))

    async def test_changes_rotations_and_removal_are_written(self, store: WebhookStore) -> None:
        made = await added(store, a_webhook())
        changed = replace(made, url="https://other.example/", events=RUN_EVENTS[:1], is_paused=True)
        rotated = SealedSecrets("new", "sealed", TIME)
        assert await store.change_webhook(changed, before=made)
        assert await store.change_secrets(made.id, rotated, before=made.secrets)
        assert await store.webhook(made.id) == replace(changed, secrets=rotated)
        assert await store.remove_webhook(made.id)
        assert await store.webhook(made.id) is None
        assert not await store.remove_webhook(made.id)
        assert not await store.change_webhook(changed, before=changed)
        assert not await store.change_secrets(made.id, rotated, before=rotated)

    async def test_a_change_of_what_somebody_else_has_changed_is_not_written(
        self, store: WebhookStore
    ) -> None:
        made = await added(store, a_webhook())
        others: dict[str, Any] = {
            "url": "https://other.example/",
            "events": RUN_EVENTS[:1],
            "description": "other",
            "is_paused": True,
        }
        for name, value in others.items():
            changed = replace(made, **{name: value})
            assert not await store.change_webhook(made, before=changed), name
        assert not await store.change_secrets(
            made.id, SealedSecrets("a"), before=SealedSecrets("b")
        )
        assert await store.webhook(made.id) == made

    async def test_every_change_of_a_run_is_told_in_order(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        await added(store, a_webhook())
        attempt = await started(runs)
        await runs.requeue(attempt.ref, back())
        attempt = await claimed(runs)
        await runs.complete(attempt.ref, FILE)
        assert await events(store) == [
            "run.accepted",
            "run.in_progress",
            "run.requeued",
            "run.in_progress",
            "run.complete",
        ]

    async def test_a_limit_is_told_before_the_failure(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        await added(store, a_webhook(events=RUN_EVENTS[2:]))
        attempt = await started(runs)
        await runs.fail(attempt.ref, Failed(LIMIT))
        assert await events(store) == ["limit.reached", "run.failed"]
        page = await store.deliveries(OF_TENANT)
        assert [one.code for one in page.deliveries] == ["row_limit_exceeded"] * 2

    async def test_a_limit_that_refuses_submits_is_told_once_for_each_key(
        self, store: WebhookStore
    ) -> None:
        own, other = a_webhook(), a_webhook(client="other", of_entity=True)
        for one in (own, other, a_webhook(client="third"), a_webhook(kind=WebhookKind.RUN)):
            await added(store, one)
        await added(store, a_webhook(events=(WebhookEvent.RUN_FAILED,)))
        for key in ("a", "a", "b"):
            await store.announce_limit(LimitNotice(key, TENANT, ENTITY, CLIENT, "live", '{"n":1}'))
        claimed = await store.claim_deliveries(ALL)
        found = sorted(one.delivery.webhook_id for one in claimed)
        assert found == sorted([own.id, other.id] * 2)
        assert {one.delivery.content for one in claimed} == {'{"n":1}'}
        assert {one.delivery.event for one in claimed} == {WebhookEvent.LIMIT_REACHED}

    async def test_a_cancel_is_told_once_the_engine_has_stopped(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        await added(store, a_webhook())
        attempt = await started(runs)
        assert await events(store) == ["run.accepted", "run.in_progress"]
        await runs.cancel(attempt.run.id, BY_USER)
        assert await events(store) == []
        await runs.freed(attempt.ref, KILLED)
        assert await events(store) == ["run.canceled"]
        waiting = await submitted(runs)
        await runs.cancel(waiting.id, BY_USER)
        assert await events(store) == ["run.accepted", "run.canceled"]

    async def test_what_a_delivery_says_stays_as_it_was_at_the_event(
        self, store: WebhookStore, runs: RunStore, raw: RawDatabase
    ) -> None:
        await added(store, a_webhook())
        attempt = await started(runs)
        await runs.complete(attempt.ref, FILE)
        [first] = await store.claim_deliveries(ALL)
        one = first.delivery
        assert (one.run_id, one.run_state, one.run_attempt) == (attempt.run.id, "accepted", 0)
        assert (one.source, one.client_id, one.attempts) == ("live", CLIENT, 1)
        assert one.at == attempt.run.created_time
        assert one.id.startswith("msg_")

    async def test_only_who_may_know_is_told(self, store: WebhookStore, runs: RunStore) -> None:
        own = await added(store, a_webhook())
        other = await added(store, a_webhook(client="client-2"))
        admin = await added(store, a_webhook(client="client-3", of_entity=True))
        await submitted(runs)
        await submitted(runs, request(entity="entity-2"))
        await submitted(runs, request(tenant="tenant-2"))
        notified = [one.webhook_id for one in (await store.deliveries(OF_TENANT)).deliveries]
        assert sorted(notified) == sorted([own.id, admin.id])
        assert other.id not in notified

    async def test_nothing_is_told_for_a_revoked_client(
        self, store: WebhookStore, runs: RunStore, auth: AuthStore
    ) -> None:
        await auth.add_tenant(TENANT, "t")
        await auth.add_entity(Entity(ENTITY, TENANT, "e"))
        client = Client(
            CLIENT, TENANT, "c", (Entity(ENTITY, TENANT, "e"),), frozenset({Scope.READ}), TIME
        )
        await auth.add_client(client, "digest")
        await added(store, a_webhook())
        await submitted(runs)
        await auth.revoke_client(CLIENT, TIME)
        await submitted(runs)
        assert len((await store.deliveries(OF_TENANT)).deliveries) == 1

    async def test_nothing_is_told_for_a_client_that_has_expired(
        self, store: WebhookStore, runs: RunStore, auth: AuthStore
    ) -> None:
        entity = Entity(ENTITY, TENANT, "e")
        await auth.add_tenant(TENANT, "t")
        await auth.add_entity(entity)
        made = {}
        ends = {
            "live": datetime(2100, 1, 1, tzinfo=UTC),
            "expired": datetime(2020, 1, 1, tzinfo=UTC),
        }
        for client_id, expires in ends.items():
            client = Client(client_id, TENANT, "c", (entity,), frozenset({Scope.READ}), TIME)
            await auth.add_client(replace(client, expires_time=expires), "digest")
            made[client_id] = await added(store, a_webhook(client=client_id, of_entity=True))
        await submitted(runs)
        [delivery] = (await store.deliveries(OF_TENANT)).deliveries
        assert delivery.webhook_id == made["live"].id

    async def test_nothing_is_told_for_a_revoked_login_until_it_is_allowed(
        self, store: WebhookStore, runs: RunStore, auth: AuthStore
    ) -> None:
        for tenant_id in (TENANT, "another"):
            await auth.add_tenant(tenant_id, "t")
            await auth.revoke_login(RevokedLogin(tenant_id, CLIENT, "ann", TIME))
        await added(store, a_webhook())
        await submitted(runs)
        assert (await store.deliveries(OF_TENANT)).deliveries == ()
        await auth.allow_login(TENANT, CLIENT, TIME)
        await submitted(runs)
        assert len((await store.deliveries(OF_TENANT)).deliveries) == 1

    async def test_a_run_with_a_url_of_its_own_is_told_there(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        made = await added(store, a_webhook(kind=WebhookKind.RUN))
        url = "https://jobs.example:8443/done?run=7"
        await submitted(runs)
        run = await submitted(runs, replace(request(), notify_url=url))
        [one] = await store.claim_deliveries(ALL)
        assert (one.delivery.run_id, one.delivery.url) == (run.id, url)
        assert one.receiver == f"{made.id} https://jobs.example:8443"
        attempt = await claimed(runs)
        attempt = attempt if attempt.run.id == run.id else await claimed(runs)
        assert attempt.run.request.notify_url == url
        await delivered(store, one)
        [one] = await store.claim_deliveries(ALL)
        assert (one.delivery.event, one.delivery.url) == (WebhookEvent.RUN_IN_PROGRESS, url)

    async def test_a_later_event_of_a_run_waits_for_an_earlier_one(
        self, store: WebhookStore, runs: RunStore, raw: RawDatabase
    ) -> None:
        await added(store, a_webhook())
        attempt = await started(runs)
        [first] = await store.claim_deliveries(ALL)
        assert await store.claim_deliveries(ALL) == []
        assert await refused(store, first, 30)
        await runs.complete(attempt.ref, FILE)
        other = await submitted(runs)
        [second] = await store.claim_deliveries(ALL)
        assert second.delivery.run_id == other.id
        await raw.pass_time(31)
        [again] = await store.claim_deliveries(ALL)
        assert (again.delivery.id, again.delivery.attempts) == (first.delivery.id, 2)
        await delivered(store, again)
        assert await events(store) == ["run.in_progress", "run.complete"]

    async def test_an_event_after_a_long_pause_was_begun_waits_with_it_and_not_longer(
        self, store: WebhookStore, runs: RunStore, raw: RawDatabase
    ) -> None:
        await added(store, a_webhook())
        attempt = await started(runs)
        [first] = await store.claim_deliveries(ALL)
        await refused(store, first, 3600)
        await runs.complete(attempt.ref, FILE)
        await raw.pass_time(3601)
        [again] = await store.claim_deliveries(ALL)
        await delivered(store, again)
        assert await events(store) == ["run.in_progress", "run.complete"]

    async def test_an_attempt_whose_node_died_is_made_again_and_its_late_end_changes_nothing(
        self, store: WebhookStore, runs: RunStore, raw: RawDatabase
    ) -> None:
        await added(store, a_webhook(events=RUN_EVENTS[:1]))
        await submitted(runs)
        [lost] = await store.claim_deliveries(ALL)
        await raw.pass_time(LEASE_S + 1)
        [again] = await store.claim_deliveries(ALL)
        assert again.delivery.attempts == 2
        assert not await refused(store, lost, 0)
        assert await delivered(store, again)
        found = await store.delivery(again.delivery.id)
        assert found is not None
        assert found[0].state is DeliveryState.DELIVERED
        assert [(one.number, one.response_code) for one in found[1]] == [(1, 500), (2, 200)]

    async def test_lanes_are_bounded_and_a_full_one_takes_nothing_from_others(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        slow = await added(store, a_webhook())
        quick = await added(store, a_webhook())
        for _ in range(5):
            await submitted(runs)
        limits = ReceiverLimits(6, 2, {slow.id: 1})
        found = await store.claim_deliveries(limits)
        assert sorted(one.receiver for one in found) == sorted([slow.id, quick.id, quick.id])
        rest = await store.claim_deliveries(ReceiverLimits(6, 2, {slow.id: 0}))
        assert [one.receiver for one in rest] == [quick.id, quick.id]
        assert await store.claim_deliveries(ReceiverLimits(0, 2)) == []

    async def test_what_waits_for_a_paused_webhook_is_delivered_when_it_goes_on(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        made = await added(store, a_webhook())
        paused = replace(made, is_paused=True)
        assert await store.change_webhook(paused, before=made)
        await submitted(runs)
        assert await events(store) == []
        assert (await store.backlog()).pending == 0
        assert await store.change_webhook(made, before=paused)
        assert (await store.backlog()).pending == 1
        assert await events(store) == ["run.accepted"]
        assert (await store.backlog()).pending == 0

    async def test_what_waits_for_a_removed_webhook_is_given_up(
        self, store: WebhookStore, runs: RunStore
    ) -> None:
        made = await added(store, a_webhook())
        of_runs = await added(store, a_webhook(kind=WebhookKind.RUN))
        await submitted(runs, replace(request(), notify_url="https://jobs.example/"))
        await store.remove_webhook(made.id)
        await store.remove_webhook(of_runs.id)
        page = await store.deliveries(OF_TENANT)
        assert [one.state for one in page.deliveries] == [DeliveryState.DEAD] * 2
        assert await store.claim_deliveries(ALL) == []

    async def test_dead_deliveries_are_replayed_by_id_or_by_time(
        self, store: WebhookStore, runs: RunStore, raw: RawDatabase
    ) -> None:
        await added(store, a_webhook(events=RUN_EVENTS[:1]))
        for _ in range(3):
            await submitted(runs)
            await raw.pass_time(60)
        for one in await store.claim_deliveries(ALL):
            await store.finish_delivery(one, tried(one), DeliveryState.DEAD)
        dead = replace(OF_TENANT, state=DeliveryState.DEAD)
        oldest = (await store.deliveries(dead)).deliveries[-1]
        assert await store.replay_deliveries(replace(OF_TENANT, ids=(oldest.id,))) == 1
        assert await store.replay_deliveries(replace(OF_TENANT, ids=(oldest.id,))) == 0
        [again] = await store.claim_deliveries(ALL)
        assert (again.delivery.id, again.delivery.attempts) == (oldest.id, 2)
        assert again.since >= oldest.at + timedelta(seconds=170)
        since = replace(dead, from_time=oldest.at + timedelta(seconds=90))
        assert await store.replay_deliveries(since) == 1
        assert await store.replay_deliveries(replace(dead, client_id="client-2")) == 0

    async def test_lists_are_filtered_and_paged(self, store: WebhookStore, runs: RunStore) -> None:
        made = await added(store, a_webhook())
        for _ in range(3):
            await submitted(runs)
        first = await store.deliveries(replace(OF_TENANT, limit=2, webhook_id=made.id))
        assert first.next_after is not None
        rest = await store.deliveries(replace(OF_TENANT, limit=2, after=first.next_after))
        ids = [one.id for one in (*first.deliveries, *rest.deliveries)]
        assert len(set(ids)) == 3
        assert rest.next_after is None
        run_id = rest.deliveries[0].run_id
        assert len((await store.deliveries(replace(OF_TENANT, run_id=run_id))).deliveries) == 1
        assert (await store.deliveries(DeliveryQuery("tenant-2"))).deliveries == ()
        assert await store.delivery("msg_unknown") is None

    async def test_old_deliveries_are_removed_with_their_attempts(
        self, store: WebhookStore, runs: RunStore, raw: RawDatabase
    ) -> None:
        await added(store, a_webhook())
        await submitted(runs)
        await events(store)
        await raw.pass_time(100)
        await submitted(runs)
        before = raw.now() - timedelta(seconds=50)
        assert await store.remove_expired_deliveries(before=before, limit=10) == 1
        assert await store.remove_expired_deliveries(before=before, limit=10) == 0
        assert await events(store) == ["run.accepted"]

    async def test_the_outcome_of_a_request_is_told_to_callouts_once(
        self, store: WebhookStore, runs: RunStore, requests: AsyncRequestStore
    ) -> None:
        await added(store, a_webhook())
        callout = await added(store, a_webhook(kind=WebhookKind.CALLOUT))
        await added(store, a_webhook(kind=WebhookKind.CALLOUT, client="client-2"))
        new = NewRequest("request-1", TENANT, ENTITY, CLIENT, "create", "run-1", "nightly")
        await requests.begin_request(new)
        assert await requests.finish_request("request-1", DONE)
        assert not await requests.finish_request("request-1", DONE)
        [one] = await store.claim_deliveries(ALL)
        assert one.webhook == callout
        assert (one.delivery.event.value, one.delivery.content) == (
            "request.succeeded",
            DONE.callout,
        )

    async def test_a_request_can_be_finished_once_its_run_is_terminal(
        self, store: WebhookStore, runs: RunStore, requests: AsyncRequestStore
    ) -> None:
        attempt = await started(runs)
        ref = AttemptRef(attempt.run.id, 1)
        new = NewRequest("request-1", TENANT, ENTITY, CLIENT, "cancel", ref.run_id, "nightly")
        await requests.begin_request(new)
        await runs.cancel(ref.run_id, BY_USER)
        assert await requests.finishable_requests(limit=10) == []
        await runs.freed(ref, KILLED)
        [found] = await requests.finishable_requests(limit=10)
        assert found.request == new
        await requests.finish_request("request-1", DONE)
        assert await requests.finishable_requests(limit=10) == []
