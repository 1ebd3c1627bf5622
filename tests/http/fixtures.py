"""What has happened to the service before a row of the conformance list is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from queryrun.auth.clients import revoke_client
from queryrun.http.context import HttpSettings
from tests.http.app_harness import ACME, DEFAULT_SETTINGS, FOREIGN, SELECT, TENANT, AppHarness
from tests.http.conformance_v1 import QUERY

SHORT_TIMEOUT = replace(DEFAULT_SETTINGS, request_timeout_s=0.01)
KEY = {"idempotency-key": "k"}


def settings_of(fixture: str) -> HttpSettings:
    """The defaults, except for a short timeout where a test waits for it."""
    return SHORT_TIMEOUT if fixture == "hanging" else DEFAULT_SETTINGS


async def apply_fixture(harness: AppHarness, fixture: str) -> None:
    """Let it happen; '' is nothing."""
    if fixture:
        await FIXTURES[fixture](harness)


async def _draining(harness: AppHarness) -> None:
    harness.knobs.accepting = False


async def _store_away(harness: AppHarness) -> None:
    harness.database.close()


async def _broken(harness: AppHarness) -> None:
    harness.guard.broken = True


async def _hanging(harness: AppHarness) -> None:
    harness.guard.go_on.clear()


async def _queue_full(harness: AppHarness) -> None:
    for _ in range(10):
        await harness.create()


async def _rate_used_up(harness: AppHarness) -> None:
    for _ in range(50_000):
        await harness.app.limiters.api.take(f"{TENANT}/{ACME.id}")


async def _address_used_up(harness: AppHarness) -> None:
    for _ in range(100):
        await harness.app.limiters.auth_address.take(f"192.0.2.1|{harness.client_id}")


async def _auth_used_up(harness: AppHarness) -> None:
    for _ in range(2_000):
        await harness.app.limiters.auth_tenant.take(f"{TENANT}/{ACME.id}")


async def _key_in_flight(harness: AppHarness) -> None:
    """As if the first request with this key were still running, by an edit of the database."""
    await _key_completed(harness)
    await _reopen_keys(harness)


async def _reopen_keys(harness: AppHarness) -> None:
    reopen = "UPDATE idempotency_keys SET reserved_until_ms = created_ms + 60000"
    await harness.database.writer.write(lambda db: db.execute(reopen).rowcount, durable=False)


async def _key_used(harness: AppHarness) -> None:
    await harness.call(
        "POST", "/v2/query_runs", json={**SELECT, "content_type": "tsv"}, headers=KEY
    )


async def _key_completed(harness: AppHarness) -> None:
    await harness.call("POST", "/v2/query_runs", json=SELECT, headers=KEY)


async def _v1_key_completed(harness: AppHarness) -> None:
    await harness.call("POST", "/query/jobs", json=QUERY, headers=KEY)


async def _v1_key_in_flight(harness: AppHarness) -> None:
    await _v1_key_completed(harness)
    await _reopen_keys(harness)


async def _no_warehouse(harness: AppHarness) -> None:
    sources = harness.app.runs.sources
    assert isinstance(sources, dict)
    del sources["warehouse"]


async def _key_expired(harness: AppHarness) -> None:
    await _key_completed(harness)
    harness.clock.move(24 * 3600 + 1)
    harness.token = await harness.new_token()


async def _key_of_other_tenant(harness: AppHarness) -> None:
    other = await harness.new_token(FOREIGN)
    await harness.call("POST", "/v2/query_runs", json=SELECT, headers=KEY, token=other)


async def _refusal_stored(harness: AppHarness) -> None:
    body = {**SELECT, "sql": "DELETE FROM account"}
    await harness.call("POST", "/v2/query_runs", json=body, headers=KEY)


async def _an_hour_later(harness: AppHarness) -> None:
    harness.clock.move(3601)


async def _revoked(harness: AppHarness) -> None:
    await revoke_client(harness.database.auth, harness.client_id, harness.clock)


FIXTURES: dict[str, Callable[[AppHarness], Awaitable[None]]] = {
    "draining": _draining,
    "store_away": _store_away,
    "broken": _broken,
    "hanging": _hanging,
    "queue_full": _queue_full,
    "rate_used_up": _rate_used_up,
    "address_used_up": _address_used_up,
    "auth_used_up": _auth_used_up,
    "key_in_flight": _key_in_flight,
    "key_used": _key_used,
    "v1_key_answered": _v1_key_completed,
    "v1_key_in_flight": _v1_key_in_flight,
    "no_warehouse": _no_warehouse,
    "key_answered": _key_completed,
    "key_expired": _key_expired,
    "key_elsewhere": _key_of_other_tenant,
    "refusal_stored": _refusal_stored,
    "an_hour_later": _an_hour_later,
    "revoked": _revoked,
}
