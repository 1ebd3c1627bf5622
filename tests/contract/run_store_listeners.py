"""What every RunStore must do with runs that end when nobody listens to them any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queryrun.runs.store import RunStore
from tests.contract.run_store_fixtures import (
    BY_USER,
    FILE,
    RawDatabase,
    claimed,
    request,
    submitted,
)

ABANDONABLE = replace(request(), cancel_on_disconnect_s=10.0)


class ListenersContract:
    """Who listens to a run, and when it is abandoned."""

    pytestmark = pytest.mark.anyio

    async def test_a_run_without_a_listener_is_abandoned_after_its_delay(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        kept = await submitted(store)
        run = await submitted(store, ABANDONABLE)
        await store.renew_listener(kept.id, for_s=0)
        await raw.pass_time(9)
        assert await store.abandoned_runs(limit=10) == []
        await raw.pass_time(9)
        assert [one.id for one in await store.abandoned_runs(limit=10)] == [run.id]
        assert run.request.cancel_on_disconnect_s == 10.0

    async def test_a_listener_keeps_a_run_and_never_shortens_what_another_has_said(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        run = await submitted(store, ABANDONABLE)
        await store.renew_listener(run.id, for_s=60)
        await store.renew_listener(run.id, for_s=1)
        await raw.pass_time(50)
        assert await store.abandoned_runs(limit=10) == []
        await raw.pass_time(11)
        assert [one.id for one in await store.abandoned_runs(limit=10)] == [run.id]

    async def test_runs_that_are_over_or_being_canceled_are_not_abandoned(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        await submitted(store, ABANDONABLE)
        attempt = await claimed(store)
        await store.complete(attempt.ref, FILE)
        await submitted(store, ABANDONABLE)
        running = await claimed(store)
        await store.cancel(running.run.id, BY_USER)
        await raw.pass_time(100)
        assert await store.abandoned_runs(limit=10) == []
        assert await store.abandoned_runs(limit=10) == []
