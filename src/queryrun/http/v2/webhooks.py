"""`/v2/webhooks` and `/v2/webhook_deliveries`: who is told of what, and what became of it (an
addition of ours). A client sees and changes its own; an admin those of its entity."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from starlette.responses import Response

from queryrun.audit.model import AuditEvent
from queryrun.errors import Forbidden, InvalidRequest, NotFound, Unavailable
from queryrun.http.admin.bodies import MAX_ATTEMPTS, body_of, check_id, page_size
from queryrun.http.audit import record
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.signed_cursor import BadCursorError, read_signed, write_signed
from queryrun.http.times import iso, utc
from queryrun.webhooks.audience import is_within_orgs
from queryrun.webhooks.message import secrets_of
from queryrun.webhooks.model import (
    Delivery,
    DeliveryAttempt,
    DeliveryQuery,
    DeliveryState,
    SealedSecrets,
    Webhook,
    WebhookEvent,
    WebhookKind,
)
from queryrun.webhooks.secrets import UnreadableSecretError, new_secret
from queryrun.webhooks.store import MAX_PER_CLIENT
from queryrun.webhooks.target import RefusedTargetError

NO_STORE = {"cache-control": "no-store"}
MAX_DESCRIPTION_CHARS = 200
MAX_CREDENTIAL_CHARS = 200
MAX_GRACE_S = 7 * 24 * 3600.0
MAX_SIGNATURES = 4
"""Of secrets from before a rotation, on one message."""
MAX_REPLAYED_IDS = 100
_LISTED = "webhook deliveries"
_OTHERS = "others change this webhook at the same time; try again"


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a creation."""

    url: str = ""
    kind: WebhookKind = WebhookKind.WEBHOOK
    events: list[WebhookEvent] | None = None
    description: str = ""
    of_entity: bool = False
    username: str | None = None
    password: str | None = None
    id: str | None = None


class ChangedWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a change. What is absent stays."""

    url: str | None = None
    events: list[WebhookEvent] | None = None
    description: str | None = None
    paused: bool | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long messages are signed with the secret before, too."""

    grace_s: float = 24 * 3600.0


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """What to deliver again: deliveries by id, or those of a time."""

    ids: list[str] | None = None
    webhook_id: str | None = None
    state: DeliveryState = DeliveryState.DEAD
    from_time: datetime | None = None
    before_time: datetime | None = None


# --- webhooks -------------------------------------------------------------------------------


async def list_webhooks(app: AppContext, request: ApiRequest) -> Response:
    """The client's own in the entity; all of the entity for an admin."""
    who = request.principal
    found = await app.webhooks.store.webhooks(who.tenant_id, who.entity_id)
    visible = [one for one in found if who.is_admin or one.client_id == who.client_id]
    return JsonResponse({"data": [_webhook(one) for one in visible]})


async def get_webhook(app: AppContext, request: ApiRequest) -> Response:
    """One webhook; never its secret."""
    return JsonResponse(_webhook(await _find(app, request)))


async def create_webhook(app: AppContext, request: ApiRequest) -> Response:
    """A webhook and its secret, which is shown only here. With an `id` that exists already, 200 and
    the webhook without its secret: a repeat changes nothing."""
    body = await body_of(app, request, NewWebhook)
    who = request.principal
    webhook_id = check_id(body.id) if body.id is not None else str(uuid4())
    if body.id is not None and (known := await app.webhooks.store.webhook(webhook_id)) is not None:
        if not _is_own(request, known):
            raise InvalidRequest.of("id", "'id' is taken: choose another")
        return JsonResponse(_webhook(known))
    if body.of_entity and not who.is_admin:
        raise Forbidden("'of_entity' needs the scope 'admin': others see their own runs alone")
    if body.of_entity and who.login:
        raise Forbidden("'of_entity' needs a client of the service: a login ends with its token")
    secret, now = new_secret(), app.now()
    made = Webhook(
        id=webhook_id,
        kind=body.kind,
        tenant_id=who.tenant_id,
        entity_id=who.entity_id,
        client_id=who.client_id,
        url=_url(app, body.kind, body.url),
        events=_events(body.kind, body.events),
        secrets=SealedSecrets(
            app.webhooks.sealer.seal(secret, webhook_id),
            credentials=_credentials(app, body, webhook_id),
        ),
        created_time=now,
        updated_time=now,
        description=_text("description", body.description, MAX_DESCRIPTION_CHARS),
        of_entity=body.of_entity,
    )
    await record(
        app, request, AuditEvent.WEBHOOK_CREATED, made.id,
        kind=made.kind.value, url=made.url, of_entity=made.of_entity, events=list(made.events),
    )  # fmt: skip
    if not await app.webhooks.store.add_webhook(made):
        message = (
            f"a client has at most {MAX_PER_CLIENT} webhooks in an entity, and one of the kind run"
        )
        raise InvalidRequest.of("kind", message)
    location = {"location": f"/v2/webhooks/{made.id}"}
    return JsonResponse(_webhook(made) | {"secret": secret}, 201, NO_STORE | location)


async def change_webhook(app: AppContext, request: ApiRequest) -> Response:
    """Change where it leads, what it is told, or whether it is paused. Of changes at the same time
    none is lost."""
    body = await body_of(app, request, ChangedWebhook)
    for _ in range(MAX_ATTEMPTS):
        known = await _find(app, request)
        changed = _changed(app, known, body)
        await record(
            app, request, AuditEvent.WEBHOOK_CHANGED, known.id,
            url=changed.url, paused=changed.is_paused, events=list(changed.events),
        )  # fmt: skip
        if await app.webhooks.store.change_webhook(changed, before=known):
            return JsonResponse(_webhook(changed))
    raise Unavailable(_OTHERS)


def _changed(app: AppContext, known: Webhook, body: ChangedWebhook) -> Webhook:
    """The webhook with what the body names."""
    return replace(
        known,
        url=known.url if body.url is None else _url(app, known.kind, body.url),
        events=known.events if body.events is None else _events(known.kind, body.events),
        description=known.description
        if body.description is None
        else _text("description", body.description, MAX_DESCRIPTION_CHARS),
        is_paused=known.is_paused if body.paused is None else body.paused,
        updated_time=app.now(),
    )


async def rotate_webhook(app: AppContext, request: ApiRequest) -> Response:
    """A new secret, shown only here. Messages carry two signatures while the grace lasts. Of
    rotations at the same time each secret counts, as if one had come after the other."""
    body = await body_of(app, request, Rotation, default="{}")
    if not 0 <= body.grace_s <= MAX_GRACE_S:
        message = f"'grace_s' must be from 0 to {MAX_GRACE_S:.0f} seconds"
        raise InvalidRequest.of("grace_s", message)
    event, secret = AuditEvent.WEBHOOK_SECRET_ROTATED, new_secret()
    for _ in range(MAX_ATTEMPTS):
        known = await _find(app, request)
        rotated = _rotated(app, known, secret, body.grace_s)
        await record(app, request, event, known.id, grace_s=body.grace_s)
        if await app.webhooks.store.change_secrets(known.id, rotated, before=known.secrets):
            changed = replace(known, secrets=rotated)
            return JsonResponse(_webhook(changed) | {"secret": secret}, headers=NO_STORE)
    raise Unavailable(_OTHERS)


def _rotated(app: AppContext, known: Webhook, secret: str, grace_s: float) -> SealedSecrets:
    before = _before(app, known) if grace_s else None
    return SealedSecrets(
        app.webhooks.sealer.seal(secret, known.id),
        before,
        None if before is None else app.now() + timedelta(seconds=grace_s),
        known.secrets.credentials,
    )


def _before(app: AppContext, known: Webhook) -> str | None:
    """What messages are signed with beside the new secret. Those in their grace stay: the response
    of an earlier rotation may have been lost. None when nobody can read them any more."""
    try:
        kept = secrets_of(known, app.webhooks.sealer, app.now())
    except UnreadableSecretError:
        return None
    return app.webhooks.sealer.seal(" ".join(kept[:MAX_SIGNATURES]), known.id)


async def remove_webhook(app: AppContext, request: ApiRequest) -> Response:
    """Remove it. What waits is given up."""
    known = await _find(app, request)
    await record(app, request, AuditEvent.WEBHOOK_DELETED, known.id, url=known.url)
    await app.webhooks.store.remove_webhook(known.id)
    return Response(status_code=204)


# --- deliveries -----------------------------------------------------------------------------


async def list_deliveries(app: AppContext, request: ApiRequest) -> Response:
    """Deliveries of the webhooks that the client sees, newest first. A page may have fewer than
    asked for, of a client whose orgs have been changed."""
    query = replace(
        _of_principal(request),
        webhook_id=_query(request, "webhook_id"),
        run_id=_query(request, "run_id"),
        state=_state(request),
        limit=page_size(request),
    )
    if cursors := request.query_values("cursor"):
        query = replace(query, after=_position(app, cursors[-1]))
    page = await app.webhooks.store.deliveries(query)
    next_page = (
        None
        if page.next_after is None
        else write_signed(str(page.next_after).encode(), _LISTED, app.link_secret)
    )
    who, runs = request.principal, app.runs.store
    data = [_delivery(one) for one in page.deliveries if await is_within_orgs(runs, who, one)]
    return JsonResponse({"next_page": next_page, "data": data})


async def get_delivery(app: AppContext, request: ApiRequest) -> Response:
    """One delivery, with its attempts and what the receiver answered."""
    delivery_id = request.path_params["delivery_id"]
    found = None if "\0" in delivery_id else await app.webhooks.store.delivery(delivery_id)
    if found is None or not await _sees(app, request, found[0]):
        raise NotFound("delivery_id", f"Delivery {delivery_id[:64]!r} could not be found")
    delivery, attempts = found
    return JsonResponse(_delivery(delivery) | {"attempts": [_attempt(one) for one in attempts]})


async def replay(app: AppContext, request: ApiRequest) -> Response:
    """Deliver again, with the ids that the messages had."""
    body = await body_of(app, request, Replay)
    ids = tuple(body.ids or ())
    if bool(ids) == (body.from_time is not None):
        raise InvalidRequest.of("ids", "name either 'ids' or 'from_time', and not both")
    if len(ids) > MAX_REPLAYED_IDS or any("\0" in one for one in ids):
        raise InvalidRequest.of("ids", f"'ids' must be at most {MAX_REPLAYED_IDS} ids")
    query = replace(
        _of_principal(request),
        ids=ids,
        webhook_id=_text("webhook_id", body.webhook_id or "", 64) or None,
        state=None if ids else body.state,
        from_time=_utc(body.from_time, "from_time"),
        before_time=_utc(body.before_time, "before_time"),
    )
    if query.state is DeliveryState.PENDING:
        raise InvalidRequest.of("state", "'state' must be dead or delivered: pending ones come")
    await record(
        app, request, AuditEvent.WEBHOOK_REPLAYED, body.webhook_id or "",
        ids=list(ids), from_time=str(body.from_time), before_time=str(body.before_time),
    )  # fmt: skip
    return JsonResponse({"replayed": await app.webhooks.store.replay_deliveries(query)})


# --- what is given --------------------------------------------------------------------------


async def check_notify_url(app: AppContext, request: ApiRequest, url: str | None) -> str | None:
    """The URL in one form. `InvalidRequest` when it may not be used, or nothing can sign for it."""
    if url is None:
        return None
    try:
        checked = app.webhooks.wall.target(url).url
    except RefusedTargetError as error:
        raise InvalidRequest.of("notify_url", f"'notify_url' {error}") from error
    who = request.principal
    known = await app.webhooks.store.webhooks(who.tenant_id, who.entity_id)
    if not any(one.kind is WebhookKind.RUN and one.client_id == who.client_id for one in known):
        message = (
            "'notify_url' needs a secret to sign with: create a webhook of the kind 'run' "
            "(POST /v2/webhooks), once"
        )
        raise InvalidRequest.of("notify_url", message)
    return checked


async def _find(app: AppContext, request: ApiRequest) -> Webhook:
    """The webhook in the path. One that the client may not see does not exist."""
    webhook_id = request.path_params["webhook_id"]
    found = None if "\0" in webhook_id else await app.webhooks.store.webhook(webhook_id.lower())
    if found is None or not _is_own(request, found):
        raise _not_found(webhook_id)
    return found


def _not_found(webhook_id: str) -> NotFound:
    return NotFound("webhook_id", f"Webhook {webhook_id[:64]!r} could not be found")


def _is_own(request: ApiRequest, webhook: Webhook) -> bool:
    who = request.principal
    in_entity = (who.tenant_id, who.entity_id) == (webhook.tenant_id, webhook.entity_id)
    return in_entity and (who.is_admin or who.client_id == webhook.client_id)


async def _sees(app: AppContext, request: ApiRequest, delivery: Delivery) -> bool:
    """As its webhook, and of others' runs an admin alone; so of a removed webhook."""
    who = request.principal
    if (who.tenant_id, who.entity_id) != (delivery.tenant_id, delivery.entity_id):
        return False
    if who.is_admin:
        return True
    webhook = await app.webhooks.store.webhook(delivery.webhook_id)
    is_own = webhook is not None and webhook.client_id == who.client_id == delivery.client_id
    return is_own and await is_within_orgs(app.runs.store, who, delivery)


def _of_principal(request: ApiRequest) -> DeliveryQuery:
    who = request.principal
    own = None if who.is_admin else who.client_id
    return DeliveryQuery(who.tenant_id, who.entity_id, own)


def _url(app: AppContext, kind: WebhookKind, url: str) -> str:
    if kind is WebhookKind.RUN:
        if url:
            raise InvalidRequest.of("url", "'url' is named by each run: leave it out")
        return ""
    try:
        return app.webhooks.wall.target(url, is_callout=kind is WebhookKind.CALLOUT).url
    except RefusedTargetError as error:
        raise InvalidRequest.of("url", f"'url' {error}") from error


def _events(kind: WebhookKind, named: list[WebhookEvent] | None) -> tuple[WebhookEvent, ...]:
    """In their order, each once; all of the kind's when none are named."""
    if named is None:
        return kind.events
    if not named or not set(named) <= set(kind.events):
        known = ", ".join(kind.events)
        raise InvalidRequest.of("events", f"'events' must be any of {known}, at least one")
    return tuple(event for event in kind.events if event in named)


def _credentials(app: AppContext, body: NewWebhook, webhook_id: str) -> str | None:
    """For basic authentication (contract C8); encrypted."""
    if body.username is None and body.password is None:
        return None
    user = _text("username", body.username or "", MAX_CREDENTIAL_CHARS)
    password = _text("password", body.password or "", MAX_CREDENTIAL_CHARS)
    if not user or ":" in user:
        raise InvalidRequest.of("username", "'username' must be given, without a colon")
    return app.webhooks.sealer.seal(f"{user}:{password}", webhook_id)


def _text(name: str, text: str, max_chars: int) -> str:
    if len(text) > max_chars or not (text.isprintable() or not text):
        message = f"'{name}' must have at most {max_chars} printable characters"
        raise InvalidRequest.of(name, message)
    return text


def _query(request: ApiRequest, name: str) -> str | None:
    text = request.query_value(name)
    if text is not None and "\0" in text:
        raise InvalidRequest.of(name, f"'{name}' must not contain the character U+0000")
    return text


def _state(request: ApiRequest) -> DeliveryState | None:
    named = request.query_values("state")
    if not named:
        return None
    try:
        return DeliveryState(named[-1])
    except ValueError as error:
        states = ", ".join(DeliveryState)
        raise InvalidRequest.of("state", f"'state' must be one of {states}") from error


def _position(app: AppContext, cursor: str) -> int:
    try:
        return int(read_signed(cursor, _LISTED, app.link_secret))
    except (BadCursorError, ValueError) as error:
        message = "'cursor' must be the next_page of the same list"
        raise InvalidRequest.of("cursor", message) from error


def _utc(time: datetime | None, name: str) -> datetime | None:
    """A time without a zone is UTC."""
    if time is None:
        return None
    return utc(time.replace(tzinfo=UTC) if time.tzinfo is None else time, name)


# --- what is returned -----------------------------------------------------------------------


def _webhook(webhook: Webhook) -> dict[str, object]:
    until = webhook.secrets.previous_until
    return {
        "id": webhook.id,
        "kind": webhook.kind.value,
        "url": webhook.url,
        "events": [event.value for event in webhook.events],
        "description": webhook.description,
        "of_entity": webhook.of_entity,
        "paused": webhook.is_paused,
        "created_by_id": webhook.client_id,
        "created_time": iso(webhook.created_time),
        "updated_time": iso(webhook.updated_time),
        "previous_secret_until": None if until is None else iso(until),
    }


def _delivery(delivery: Delivery) -> dict[str, object]:
    is_pending = delivery.state is DeliveryState.PENDING
    finished = delivery.finished_time
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "event": delivery.event.value,
        "event_time": iso(delivery.at),
        "query_run_id": delivery.run_id,
        "state": delivery.state.value,
        "attempt_count": delivery.attempts,
        "next_attempt_time": iso(delivery.next_time) if is_pending else None,
        "finished_time": None if finished is None else iso(finished),
    }


def _attempt(attempt: DeliveryAttempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "time": iso(attempt.at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.response_code,
        "error": attempt.error,
        "response": attempt.response,
    }
