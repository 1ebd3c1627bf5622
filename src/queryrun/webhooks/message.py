"""What a receiver gets: the body and headers of one delivery. Small: a link leads to the run."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec

from queryrun import __version__
from queryrun.webhooks.model import Delivery, Webhook
from queryrun.webhooks.secrets import Sealer, UnreadableSecretError, signature


def body_of(delivery: Delivery, public_url: str) -> bytes:
    """The body, the same in every attempt."""
    if delivery.content is not None:
        return delivery.content.encode()
    data: dict[str, Any] = {
        "id": delivery.run_id,
        "state": delivery.run_state,
        "attempt": delivery.run_attempt,
        "source": delivery.source,
        "entity_id": delivery.entity_id,
        "created_by_id": delivery.client_id,
        "url": f"{public_url}/v2/query_runs/{delivery.run_id}",
    }
    if delivery.code is not None:
        data["code"] = delivery.code
    at = delivery.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": delivery.event.value, "timestamp": at, "data": data})


def headers_of(
    delivery: Delivery, webhook: Webhook, sealer: Sealer, body: bytes, now: datetime
) -> dict[str, str]:
    """The headers of one attempt. `UnreadableSecretError` when it cannot be signed."""
    timestamp_s = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": f"queryrun/{__version__}",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature(
            secrets_of(webhook, sealer, now), delivery.id, timestamp_s, body
        ),
    }
    if webhook.secrets.credentials is not None:
        login = _login_of(webhook.secrets.credentials, webhook, sealer)
        headers["authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return headers


def _login_of(credentials: str, webhook: Webhook, sealer: Sealer) -> bytes:
    """User and password, which no rotation makes anew."""
    try:
        return sealer.unseal(credentials, webhook.id).encode()
    except UnreadableSecretError as error:
        raise UnreadableSecretError(
            "user and password cannot be read, because the key for links has changed: create it "
            "again with them"
        ) from error


def secrets_of(webhook: Webhook, sealer: Sealer, now: datetime) -> list[str]:
    """The current one, and those before while their grace lasts, the newest first."""
    kept = [sealer.unseal(webhook.secrets.current, webhook.id)]
    until, previous = webhook.secrets.previous_until, webhook.secrets.previous
    if previous is not None and until is not None and now < until:
        kept += sealer.unseal(previous, webhook.id).split()
    return kept
