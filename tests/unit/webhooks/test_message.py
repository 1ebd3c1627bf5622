"""What a receiver gets while secrets are rotated, and after the nodes' key was replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Receiver
from standardwebhooks import WebhookVerificationError

from queryrun.webhooks.message import body_of, headers_of
from queryrun.webhooks.model import (
    Delivery,
    DeliveryState,
    SealedSecrets,
    Webhook,
    WebhookEvent,
    WebhookKind,
)
from queryrun.webhooks.secrets import Sealer, UnreadableSecretError, new_secret

NOW = datetime.now(UTC)
OLD_KEY, NEW_KEY = Sealer(b"o" * 32), Sealer(b"n" * 32)
FIRST, SECOND = new_secret(), new_secret()
OF_OLD_KEY = SealedSecrets(OLD_KEY.seal(FIRST, "w"))
WEBHOOK = Webhook(
    *("w", WebhookKind.WEBHOOK, "t", "e", "c", "https://receiver.example/"),
    (WebhookEvent.RUN_COMPLETE,),
    *(OF_OLD_KEY, NOW, NOW),
)
DELIVERY = Delivery(
    *("msg_1", "w", "t", "e", "c", WebhookEvent.RUN_COMPLETE, NOW, DeliveryState.PENDING, 1, NOW)
)


def is_verified(
    secrets: SealedSecrets, sealer: Sealer, secret: str, at: datetime | None = None
) -> bool:
    """Whether a receiver that has this secret takes a message, signed now or then. The receiver's
    library has no other clock than the machine's, and takes five minutes of difference."""
    body = body_of(DELIVERY, "https://queries.example")
    at = at or datetime.now(UTC)
    headers = headers_of(DELIVERY, replace(WEBHOOK, secrets=secrets), sealer, body, at)
    try:
        Receiver(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_both_secrets_verify_until_the_grace_ends_and_then_the_new_one() -> None:
    ends = datetime.now(UTC) + timedelta(seconds=60)
    before = ends - timedelta(seconds=1)
    rotated = SealedSecrets(OLD_KEY.seal(SECOND, "w"), OLD_KEY.seal(FIRST, "w"), ends)
    assert is_verified(rotated, OLD_KEY, FIRST, before)
    assert is_verified(rotated, OLD_KEY, SECOND, before)
    assert not is_verified(rotated, OLD_KEY, FIRST, ends)
    assert is_verified(rotated, OLD_KEY, SECOND, ends)
    assert not is_verified(rotated, OLD_KEY, new_secret(), before)


def test_a_secret_of_another_key_cannot_sign_and_the_reason_says_what_to_do() -> None:
    with pytest.raises(UnreadableSecretError, match="rotate it"):
        is_verified(OF_OLD_KEY, NEW_KEY, FIRST)
    assert is_verified(SealedSecrets(NEW_KEY.seal(SECOND, "w")), NEW_KEY, SECOND)


def test_a_password_of_another_key_is_not_mended_by_a_rotation_and_says_so() -> None:
    credentials = OLD_KEY.seal("user:password", "w")
    rotated = SealedSecrets(NEW_KEY.seal(SECOND, "w"), credentials=credentials)
    with pytest.raises(UnreadableSecretError, match="create it again"):
        is_verified(rotated, NEW_KEY, SECOND)
