"""What has happened to the service before a row of the conformance list is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from queryrun.auth.clients import revoke_client
from queryrun.http.parts import HttpSettings
from tests.http.conformance_v1 import QUERY
from tests.http.house import FOREIGN, SELECT, TENANT, House

DELIVERED = HttpSettings()
IMPATIENT = HttpSettings(request_timeout_s=0.01)
KEY = {"idempotency-key": "k"}


def settings_of(scene: str) -> HttpSettings:
    """Nothing is changed from the defaults, except that nobody waits 60 s for a time-out."""
    return IMPATIENT if scene == "hanging" else DELIVERED


async def enter(house: House, scene: str) -> None:
    """Let it happen; '' is nothing."""
    if scene:
        await SCENES[scene](house)


async def _draining(house: House) -> None:
    house.knobs.accepting = False


async def _store_away(house: House) -> None:
    house.database.close()


async def _broken(house: House) -> None:
    house.guard.broken = True


async def _hanging(house: House) -> None:
    house.guard.go_on.clear()


async def _queue_full(house: House) -> None:
    for _ in range(10):
        await house.create()


async def _rate_used_up(house: House) -> None:
    for _ in range(50_000):
        await house.parts.limiters.api.take(TENANT)


async def _address_used_up(house: House) -> None:
    for _ in range(100):
        await house.parts.limiters.auth_address.take("192.0.2.1")


async def _auth_used_up(house: House) -> None:
    for _ in range(2_000):
        await house.parts.limiters.auth_tenant.take(TENANT)


async def _key_in_flight(house: House) -> None:
    """As if the first request with this key were still being answered, through the back door."""
    await _key_answered(house)
    await _reopen_keys(house)


async def _reopen_keys(house: House) -> None:
    reopen = "UPDATE idempotency SET claim_until_ms = created_ms + 60000"
    await house.database.writer.write(lambda db: db.execute(reopen).rowcount, durable=False)


async def _key_used(house: House) -> None:
    await house.call("POST", "/v2/query_runs", json={**SELECT, "content_type": "tsv"}, headers=KEY)


async def _key_answered(house: House) -> None:
    await house.call("POST", "/v2/query_runs", json=SELECT, headers=KEY)


async def _v1_key_answered(house: House) -> None:
    await house.call("POST", "/query/jobs", json=QUERY, headers=KEY)


async def _v1_key_in_flight(house: House) -> None:
    await _v1_key_answered(house)
    await _reopen_keys(house)


async def _no_warehouse(house: House) -> None:
    sources = house.parts.runs.sources
    assert isinstance(sources, dict)
    del sources["warehouse"]


async def _key_expired(house: House) -> None:
    await _key_answered(house)
    house.clock.move(24 * 3600 + 1)
    house.token = await house.new_token()


async def _key_elsewhere(house: House) -> None:
    other = await house.new_token(FOREIGN)
    await house.call("POST", "/v2/query_runs", json=SELECT, headers=KEY, token=other)


async def _refusal_stored(house: House) -> None:
    body = {**SELECT, "sql": "DELETE FROM account"}
    await house.call("POST", "/v2/query_runs", json=body, headers=KEY)


async def _an_hour_later(house: House) -> None:
    house.clock.move(3601)


async def _revoked(house: House) -> None:
    await revoke_client(house.database.auth, house.client_id, house.clock)


SCENES: dict[str, Callable[[House], Awaitable[None]]] = {
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
    "v1_key_answered": _v1_key_answered,
    "v1_key_in_flight": _v1_key_in_flight,
    "no_warehouse": _no_warehouse,
    "key_answered": _key_answered,
    "key_expired": _key_expired,
    "key_elsewhere": _key_elsewhere,
    "refusal_stored": _refusal_stored,
    "an_hour_later": _an_hour_later,
    "revoked": _revoked,
}
