"""Webhooks and deliveries: rows turned into records, and back. The same for both databases."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.db.rows import Row, Values, values_before
from queryrun.db.times import from_ms, from_ms_or_none, to_ms
from queryrun.errors import FailureCode
from queryrun.runs.model import Run, StopReason
from queryrun.runs.state import RunEvent, RunState
from queryrun.webhooks.model import (
    ClaimedDelivery,
    Delivery,
    DeliveryAttempt,
    DeliveryPage,
    DeliveryQuery,
    DeliveryState,
    LimitNotice,
    SealedSecrets,
    Webhook,
    WebhookEvent,
    WebhookKind,
)
from queryrun.webhooks.store import MAX_PER_CLIENT

DELIVERY_WIDTH = 21
"""Columns of `delivery_columns`."""

LIMIT_CODES = frozenset(
    {
        FailureCode.ROW_LIMIT_EXCEEDED,
        FailureCode.MEMORY_LIMIT_EXCEEDED,
        FailureCode.TIME_LIMIT_EXCEEDED,
        FailureCode.SIZE_LIMIT_EXCEEDED,
        FailureCode.QUOTA_EXCEEDED,
    }
)
"""Failures that are limits reached, whether or not something had to be stopped for it."""


def events_of(run: Run, event: RunEvent | None) -> list[tuple[WebhookEvent, str | None]]:
    """What receivers are told of a change that has led to this state, in order, each with its code.

    Nothing of a cancel whose engine has not stopped yet: nobody can read that state.
    """
    if run.state is RunState.CANCELING:
        return []
    if event is RunEvent.REQUEUE:
        return [(WebhookEvent.RUN_REQUEUED, None)]
    main = WebhookEvent(f"run.{run.state}")
    if run.state is RunState.FAILED and run.failure is not None:
        code = run.failure.code
        stop = run.cancellation
        is_limit = code in LIMIT_CODES or (stop is not None and stop.reason is StopReason.LIMIT)
        limit = [(WebhookEvent.LIMIT_REACHED, code.value)] if is_limit else []
        return [*limit, (main, code.value)]
    if run.state is RunState.CANCELED and run.cancellation is not None:
        return [(main, run.cancellation.reason.value)]
    return [(main, None)]


def webhook_values(webhook: Webhook) -> Values:
    """What its statements bind."""
    return {
        "id": webhook.id,
        "kind": webhook.kind.value,
        "tenant_id": webhook.tenant_id,
        "entity_id": webhook.entity_id,
        "client_id": webhook.client_id,
        "url": webhook.url,
        "events": f" {' '.join(webhook.events)} ",
        "description": webhook.description,
        "of_entity": int(webhook.of_entity),
        "is_paused": int(webhook.is_paused),
        "created_ms": to_ms(webhook.created_time),
        "updated_ms": to_ms(webhook.updated_time),
        "max_per_client": MAX_PER_CLIENT,
        **secret_values(webhook.id, webhook.secrets),
    }


def changed_webhook_values(webhook: Webhook, before: Webhook) -> Values:
    """A webhook that is being changed, and what it was."""
    changed = ("url", "events", "description", "is_paused")
    return {**webhook_values(webhook), **values_before(webhook_values(before), changed)}


def changed_secret_values(webhook_id: str, secrets: SealedSecrets, before: SealedSecrets) -> Values:
    """Its new secrets, and the one that it had: each has its own."""
    return {**secret_values(webhook_id, secrets), "secret_before": before.current}


def secret_values(webhook_id: str, secrets: SealedSecrets) -> Values:
    """The encrypted secrets as they are stored."""
    until = secrets.previous_until
    return {
        "id": webhook_id,
        "secret": secrets.current,
        "previous_secret": secrets.previous,
        "previous_until_ms": None if until is None else to_ms(until),
        "credentials": secrets.credentials,
    }


def limit_notice_values(notice: LimitNotice) -> Values:
    """What announcing it binds."""
    return {
        "key": notice.key,
        "tenant_id": notice.tenant_id,
        "entity_id": notice.entity_id,
        "client_id": notice.client_id,
        "source": notice.source,
        "content": notice.content,
        "event": WebhookEvent.LIMIT_REACHED.value,
    }


def webhook_of(row: Row) -> Webhook:
    """From `webhook_columns`."""
    (id_, kind, tenant, entity, client, url, events, description, of_entity, is_paused, secret,
     previous, until, credentials, created, updated) = row  # fmt: skip
    return Webhook(
        id=id_,
        kind=WebhookKind(kind),
        tenant_id=tenant,
        entity_id=entity,
        client_id=client,
        url=url,
        events=tuple(map(WebhookEvent, events.split())),
        secrets=SealedSecrets(secret, previous, from_ms_or_none(until), credentials),
        created_time=from_ms(created),
        updated_time=from_ms(updated),
        description=description,
        of_entity=bool(of_entity),
        is_paused=bool(is_paused),
    )


def delivery_of(row: Row) -> Delivery:
    """From `delivery_columns`."""
    (_, _, _, id_, webhook_id, tenant, entity, client, event, at, state, attempts, next_, url, run,
     source, run_state, run_attempt, code, content, finished) = row  # fmt: skip
    return Delivery(
        id=id_,
        webhook_id=webhook_id,
        tenant_id=tenant,
        entity_id=entity,
        client_id=client,
        event=WebhookEvent(event),
        at=from_ms(at),
        state=DeliveryState(state),
        attempts=attempts,
        next_time=from_ms(next_),
        url=url,
        run_id=run,
        source=source,
        run_state=run_state,
        run_attempt=run_attempt,
        code=code,
        content=content,
        finished_time=from_ms_or_none(finished),
    )


def claimed_of(row: Row) -> ClaimedDelivery:
    """From `delivery_columns` and `webhook_columns`."""
    delivery, webhook = row[:DELIVERY_WIDTH], row[DELIVERY_WIDTH:]
    seq, receiver, since_ms = delivery[:3]
    return ClaimedDelivery(
        seq, receiver, from_ms(since_ms), delivery_of(delivery), webhook_of(webhook)
    )


def attempt_values(claimed: ClaimedDelivery, attempt: DeliveryAttempt) -> Values:
    """What recording an attempt binds."""
    return {
        "seq": claimed.seq,
        "number": attempt.number,
        "at_ms": to_ms(attempt.at),
        "duration_ms": attempt.duration_ms,
        "response_code": attempt.response_code,
        "error": attempt.error,
        "response": attempt.response,
    }


def delivery_attempt_of(row: Row) -> DeliveryAttempt:
    """From `webhook_attempts`."""
    number, at_ms, duration_ms, response_code, error, response = row
    return DeliveryAttempt(number, from_ms(at_ms), duration_ms, response_code, error, response)


def page_of(rows: Sequence[Row], limit: int) -> DeliveryPage:
    """One row more than the limit says that there is another page."""
    page = rows[:limit]
    more = len(rows) > limit
    return DeliveryPage(tuple(map(delivery_of, page)), page[-1][0] if more else None)


def query_sql(
    query: DeliveryQuery, columns: str, bind: str, *, is_replay: bool = False
) -> tuple[str, Values]:
    """The statement of a list: newest first; for a replay the oldest that are over. `bind` is how
    the database writes a parameter, as in `:{}`."""
    conditions = {
        "tenant_id": ("d.tenant_id = {}", query.tenant_id),
        "entity_id": ("d.entity_id = {}", query.entity_id),
        "webhook_id": ("d.webhook_id = {}", query.webhook_id),
        "run_id": ("d.run_id = {}", query.run_id),
        "state": ("d.state = {}", None if query.state is None else query.state.value),
        "from_ms": ("d.at_ms >= {}", None if query.from_time is None else to_ms(query.from_time)),
        "before_ms": (
            "d.at_ms < {}", None if query.before_time is None else to_ms(query.before_time)
        ),
        "after": ("d.seq < {}", query.after),
        "client_id": (
            "d.client_id = {0} AND EXISTS (SELECT 1 FROM webhooks w"
            " WHERE w.id = d.webhook_id AND w.client_id = {0})",
            query.client_id,
        ),
    }  # fmt: skip
    conditions |= {f"id_{n}": ("d.id = {}", id_) for n, id_ in enumerate(query.ids)}
    used = {name: one for name, one in conditions.items() if one[1] is not None}
    texts = {name: text.format(bind.format(name)) for name, (text, _) in used.items()}
    ids = [texts.pop(f"id_{n}") for n in range(len(query.ids))]
    where = [*texts.values(), *([f"({' OR '.join(ids)})"] if ids else [])]
    where += ["d.state <> 'pending'"] if is_replay else []
    order = "ASC" if is_replay else "DESC"
    sql = (
        f"SELECT {columns} FROM webhook_deliveries d WHERE {' AND '.join(where)}"  # noqa: S608 - constants
        f" ORDER BY d.seq {order} LIMIT {bind.format('limit')}"
    )
    return sql, {**{name: value for name, (_, value) in used.items()}, "limit": query.limit + 1}
