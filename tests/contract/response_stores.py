"""What every IdempotencyStore and every AsyncRequestStore must do.

An implementation provides the fixtures `store` and `raw`.
"""

from __future__ import annotations

import asyncio

import pytest

from queryrun.errors import IdempotencyInFlight, IdempotencyMismatch
from queryrun.runs.idempotency import KEY_RESERVATION_S, KEY_RETENTION_S, IdempotencyStore
from queryrun.runs.model import IdempotencyKey
from queryrun.runs.requests import (
    AsyncRequestStore,
    NewRequest,
    RequestOutcome,
    RequestState,
)
from tests.contract.run_store_fixtures import RawDatabase

REFUSED = b'400 {"type":"bad_request"}'
KEY = IdempotencyKey("tenant-1", "entity-1", "key-1", "fp")
OTHER = IdempotencyKey("tenant-1", "entity-1", "key-1", "other")


class IdempotencyStoreContract:
    """Inherit this, provide `store` and `raw`."""

    pytestmark = pytest.mark.anyio

    async def test_a_completed_response_is_replayed(self, store: IdempotencyStore) -> None:
        assert await store.reserve_key(KEY) is None
        await store.complete_key(KEY, REFUSED)
        assert await store.find_key(KEY) == REFUSED
        assert await store.reserve_key(KEY) == REFUSED

    async def test_a_lookup_reserves_nothing(self, store: IdempotencyStore) -> None:
        assert await store.find_key(KEY) is None
        assert await store.reserve_key(KEY) is None

    async def test_a_repeat_in_flight_is_rejected(self, store: IdempotencyStore) -> None:
        await store.reserve_key(KEY)
        with pytest.raises(IdempotencyInFlight):
            await store.find_key(KEY)
        with pytest.raises(IdempotencyInFlight):
            await store.reserve_key(KEY)

    async def test_another_request_under_the_key_is_a_mismatch(
        self, store: IdempotencyStore
    ) -> None:
        await store.reserve_key(KEY)
        with pytest.raises(IdempotencyMismatch):
            await store.reserve_key(OTHER)
        await store.complete_key(KEY, REFUSED)
        with pytest.raises(IdempotencyMismatch):
            await store.find_key(OTHER)

    async def test_one_of_two_concurrent_reservations_wins(self, store: IdempotencyStore) -> None:
        results = await asyncio.gather(
            *(store.reserve_key(KEY) for _ in range(5)), return_exceptions=True
        )
        assert results.count(None) == 1
        assert sum(isinstance(result, IdempotencyInFlight) for result in results) == 4

    async def test_tenants_have_their_own_keys(self, store: IdempotencyStore) -> None:
        await store.reserve_key(KEY)
        foreign = IdempotencyKey("tenant-2", "entity-1", "key-1", "other")
        assert await store.reserve_key(foreign) is None

    async def test_entities_have_their_own_keys(self, store: IdempotencyStore) -> None:
        await store.reserve_key(KEY)
        foreign = IdempotencyKey("tenant-1", "entity-2", "key-1", "other")
        assert await store.reserve_key(foreign) is None
        await store.complete_key(foreign, REFUSED)
        assert await store.find_key(foreign) == REFUSED

    async def test_a_completed_key_keeps_its_response(self, store: IdempotencyStore) -> None:
        await store.reserve_key(KEY)
        await store.complete_key(KEY, REFUSED)
        await store.complete_key(KEY, b"200 {}")
        assert await store.find_key(KEY) == REFUSED

    async def test_a_key_whose_node_died_does_not_block_forever(
        self, store: IdempotencyStore, raw: RawDatabase
    ) -> None:
        await store.reserve_key(KEY)
        await raw.pass_time(KEY_RESERVATION_S - 0.001)
        with pytest.raises(IdempotencyInFlight):
            await store.reserve_key(KEY)
        await raw.pass_time(0.001)
        assert await store.reserve_key(OTHER) is None

    async def test_a_response_is_kept_for_a_day_and_then_removed(
        self, store: IdempotencyStore, raw: RawDatabase
    ) -> None:
        await store.reserve_key(KEY)
        await store.complete_key(KEY, REFUSED)
        await raw.pass_time(KEY_RETENTION_S - 0.001)
        assert await store.find_key(KEY) == REFUSED
        assert await store.remove_expired_keys() == 0
        await raw.pass_time(0.001)
        assert await store.find_key(OTHER) is None
        assert await store.remove_expired_keys() == 1


NEW = NewRequest("request-1", "tenant-1", "entity-1", "client-1", "create", "run-1")
DONE = RequestOutcome(RequestState.SUCCEEDED, b"201 {}")


class AsyncRequestStoreContract:
    """Inherit this, provide `store` and `raw`."""

    pytestmark = pytest.mark.anyio

    async def test_a_request_begins_in_progress(
        self, store: AsyncRequestStore, raw: RawDatabase
    ) -> None:
        begun = await store.begin_request(NEW)
        assert begun.state is RequestState.IN_PROGRESS
        assert (begun.created_time, begun.completed_time) == (raw.now(), None)
        assert await store.get_request(NEW.id) == begun

    async def test_a_finished_request_has_its_outcome(
        self, store: AsyncRequestStore, raw: RawDatabase
    ) -> None:
        await store.begin_request(NEW)
        await raw.pass_time(2)
        assert await store.finish_request(NEW.id, DONE)
        found = await store.get_request(NEW.id)
        assert found is not None
        assert (found.request, found.outcome, found.state) == (NEW, DONE, RequestState.SUCCEEDED)
        assert found.completed_time == raw.now()

    async def test_the_first_outcome_stays(self, store: AsyncRequestStore) -> None:
        await store.begin_request(NEW)
        await store.finish_request(NEW.id, RequestOutcome(RequestState.FAILED, REFUSED))
        assert not await store.finish_request(NEW.id, DONE)
        found = await store.get_request(NEW.id)
        assert found is not None
        assert found.outcome == RequestOutcome(RequestState.FAILED, REFUSED)

    async def test_an_unknown_request_is_none(self, store: AsyncRequestStore) -> None:
        assert await store.get_request("request-9") is None
        assert not await store.finish_request("request-9", DONE)

    async def test_old_requests_are_removed(
        self, store: AsyncRequestStore, raw: RawDatabase
    ) -> None:
        await store.begin_request(NEW)
        assert await store.remove_expired_requests(created_before=raw.now()) == 0
        await raw.pass_time(1)
        assert await store.remove_expired_requests(created_before=raw.now()) == 1
        assert await store.get_request(NEW.id) is None
